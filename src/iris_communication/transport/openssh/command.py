"""How the `ssh` program is called: command line, configuration and environment, as values.

Three kinds of settings, those that count first on top:

    ours        what the contract promises: one SFTP session and nothing else, our own check of host keys, the secret
                that was given for this server. On the command line, where it counts before anything else
    the user's  everything else: ProxyJump, ProxyCommand, GSSAPI, PKCS#11, algorithms an old server needs ...
    defaults    what serves us best where the user set nothing: read after the user's, for ssh keeps the first value

So ssh reads a configuration of ours that includes the user's and the system's. Jump hosts get the same one, and none of
what is on the command line: the user configures them, and their keys. They get no secret of ours and no answer.

With a secret for the server no other counts. With a password no key is tried, no agent and no token. With a key,
ssh_config may name further ones; ssh offers those as well and has no option against it, so a connection that one of
them opened is not used (`process`). Without a secret it is what the user's own `ssh` would use without asking: an
agent, keys without a passphrase, a hardware key that wants no PIN, a ticket.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from iris_communication.errors import SshProgramUnusable
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.algorithms import LEGACY, PREFERRED_CIPHERS, SIGNED_WITH_SHA1, TODAY, offered
from iris_communication.transport.contract import KEEPALIVES_LOST, keepalive_s

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")

OURS = {
    "AddKeysToAgent": "no",
    "ClearAllForwardings": "yes",
    "ConnectionAttempts": "1",
    "ControlMaster": "no",
    "ControlPath": "none",  # over a connection somebody else opened no host key would be checked
    "ForkAfterAuthentication": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "GlobalKnownHostsFile": "/dev/null",
    "LogLevel": "DEBUG1",
    "LogVerbose": "*:client_status_confirm():*,*:load_identity_file():*,*:sign_and_send_pubkey():*",
    "NoHostAuthenticationForLocalhost": "no",
    "NumberOfPasswordPrompts": "1",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": str(KEEPALIVES_LOST),
    "StdinNull": "no",
    "StrictHostKeyChecking": "yes",
    "Tunnel": "no",
    "UpdateHostKeys": "no",
    "UserKnownHostsFile": "/dev/null",
    "VerifyHostKeyDNS": "no",
}
DEFAULTS = {
    "Ciphers": "^" + ",".join(PREFERRED_CIPHERS),
    "IPQoS": "none",  # else it is marked as lower effort
    "MACs": "-" + ",".join(LEGACY.macs),  # the rest of LEGACY is not among OpenSSH's own defaults
}
FOR_AN_OLD_SERVER = {
    "Ciphers": ",".join([*TODAY.ciphers, *LEGACY.ciphers]),
    "IPQoS": DEFAULTS["IPQoS"],
    "KexAlgorithms": "+" + ",".join(LEGACY.key_exchanges),
    "MACs": ",".join([*TODAY.macs, *LEGACY.macs]),
    "PubkeyAcceptedAlgorithms": "+" + SIGNED_WITH_SHA1,
}
UNSAID = "IRIS_"  # our own variables may hold secrets


class Identity(NamedTuple):
    """The paths of a private key and of its certificate."""

    private_key: str
    certificate: str | None


def command(
    program: str,
    server: Server,
    *,
    algorithms: Sequence[str],
    judge: Sequence[str],
    config: str,
    identity: Identity | None,
    password: bool,
    settings: DeliverySettings,
) -> list[str]:
    """`algorithms` are the kinds of host key to ask for, best first; `judge` is the command that checks one, `config`
    is a path."""
    options = {
        **OURS,
        "ConnectTimeout": str(round(settings.connect_timeout_s)),
        "ServerAliveInterval": str(keepalive_s(settings)),  # 0 would mean that a dead link is never noticed
        "HostKeyAlgorithms": ",".join(each for each in algorithms if each in offered(server).host_keys),
        # the name that is looked for, the kind of key, the key
        "KnownHostsCommand": " ".join([*map(quoted, judge), "%H", "%t", "%K"]),
        **_authentication(identity, password),
    }
    arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    user = ["-p", str(server.port), "-l", server.username]
    return [program, "-F", config, *arguments, *user, "-s", "--", server.host, "sftp"]


def share_s(timeout_s: float, addresses: int) -> int:
    """ssh tries one address after the other and gives each so much. For a single one our own deadline comes first."""
    return max(1, round(timeout_s + 0.5) if addresses < 2 else int(timeout_s / addresses))


def _authentication(identity: Identity | None, password: bool) -> dict[str, str]:
    if identity is None and not password:
        return {"BatchMode": "yes"}
    ways, options = [], {"BatchMode": "no", "IdentitiesOnly": "yes", "IdentityAgent": "none", "PKCS11Provider": "none"}
    if identity is not None:
        ways += ["publickey"]
        options |= {"IdentityFile": quoted(identity.private_key), "PubkeyAuthentication": "yes"}
        if identity.certificate is not None:
            # ssh finds it by itself only where ssh_config names none.
            options |= {"CertificateFile": quoted(identity.certificate)}
    if password:
        ways += ["keyboard-interactive", "password"]
        options |= {"KbdInteractiveAuthentication": "yes", "PasswordAuthentication": "yes"}
    return options | {"PreferredAuthentications": ",".join(ways)}


def configuration(included: Sequence[Path], *, legacy: bool = False) -> str:
    """The text of the configuration. Raises SshProgramUnusable where other users could have written an included file:
    ssh itself refuses such a file only where it reads it without our Include."""
    lines = []
    for path in included:
        try:
            facts = path.stat()
        except OSError:
            continue  # ssh goes without one, too, and reports one that it may not read
        if facts.st_uid not in (0, os.getuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise SshProgramUnusable(
                f"{path} belongs to another user, or another user may write to it: ssh does not trust it"
            )
        lines.append(f"Include {quoted(str(path))}")
    lines += [f"{name} {value}" for name, value in (FOR_AN_OLD_SERVER if legacy else DEFAULTS).items()]
    return "\n".join(lines) + "\n"


def default_configs() -> list[Path]:
    try:
        return [USER_CONFIG.expanduser(), SYSTEM_CONFIG]
    except RuntimeError:  # there is no home
        return [SYSTEM_CONFIG]


def environment(inherited: Mapping[str, str], secret: Secret, askpass: str | None) -> dict[str, str]:
    """The user's, without what could be a secret; with English texts, and with nobody to ask but `askpass`."""
    secrets = {secret.password, secret.private_key, secret.passphrase}
    kept = {name: text for name, text in inherited.items() if not name.startswith(UNSAID) and text not in secrets}
    kept |= {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "force" if askpass else "never"}
    return kept | ({"SSH_ASKPASS": askpass} if askpass else {})


def quoted(word: str) -> str:
    """As ssh reads a word that may hold spaces and its special characters."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
