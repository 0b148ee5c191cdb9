"""SSH algorithms: what we offer, what a server offers, what is negotiated, and which of it is old.

Both transports offer what OpenSSH's client of today offers by default, less what it keeps for old servers alone (SHA-1,
64-bit tags). A server that has nothing better is reached with `legacy_algorithms = true`; errors for lack of it name
that setting, and `iris server test` reports when it was needed.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from iris_communication.errors import AND_READ_AGAIN, SftpUnavailable
from iris_communication.settings import Server

OFFER_SHOWN_MAX = 200  # characters
SETTING = "legacy_algorithms"

# With hardware help nearly everywhere, and no need of a separate MAC: asked for first.
PREFERRED_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
SHA1_HINT = (
    "an RSA key was not offered, as this server knows signatures of SHA-1 alone: give an ed25519 or ECDSA key, or set "
    f"{SETTING} = true for it, or correct the user name or password {AND_READ_AGAIN}; mended on the server's side, "
    "resume it (iris queue resume SERVER). Nothing is tried until then"
)


class Offer(NamedTuple):
    """Best first, by their names in the protocol."""

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    compressions: tuple[str, ...] = ("none", "zlib@openssh.com", "zlib")


KINDS = Offer(("key exchange",), ("kind of host key",), ("cipher",), ("MAC",), ("compression",))

TODAY = Offer(
    key_exchanges=(
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    # In the order the ssh program prefers them, so that a key learned with it is the key that is shown to us.
    host_keys=(
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
    ciphers=(*PREFERRED_CIPHERS, "chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"),
    macs=(
        "umac-128-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "umac-128@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ),
)
LEGACY = Offer(
    key_exchanges=("diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"),
    host_keys=("ssh-rsa",),
    ciphers=("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"),
    macs=("umac-64-etm@openssh.com", "umac-64@openssh.com", "hmac-sha1-etm@openssh.com", "hmac-sha1"),
    compressions=(),
)
SIGNED_WITH_SHA1 = "ssh-rsa"  # by a key of ours: the only way RSA keys sign for a server that announces no others


class Negotiated(NamedTuple):
    """The algorithms of a connection."""

    key_exchange: str
    host_key: str
    cipher: str
    mac: str

    @property
    def legacy(self) -> list[str]:
        return [name for name, old in zip(self, LEGACY, strict=False) if name in old]


def offered(server: Server) -> Offer:
    if not server.legacy_algorithms:
        return TODAY
    return Offer(*(today + old for today, old in zip(TODAY, LEGACY, strict=True)))


def of_kexinit(payload: bytes) -> Offer | None:
    """What a server says it knows, by its SSH_MSG_KEXINIT (RFC 4253, 7.1); None: that is not all there."""
    at, lists = 1 + 16, []  # the kind of message, and a cookie
    for _ in range(8):
        if len(payload) < at + 4:
            return None
        (size,) = struct.unpack_from(">I", payload, at)
        lists.append(tuple(payload[at + 4 : at + 4 + size].decode("ascii", "replace").split(",")))
        at += 4 + size
    return Offer(lists[0], lists[1], lists[2], lists[4], lists[6])  # for what we send; servers use one list both ways


def negotiated(ours: Offer, theirs: Offer) -> Negotiated | None:
    """Of each kind the first of ours that the server knows."""
    chosen = [next((name for name in mine if name in known), None) for mine, known in zip(ours, theirs, strict=True)]
    key_exchange, host_key, cipher, mac, _ = chosen
    if key_exchange is None or host_key is None or cipher is None:
        return None
    return Negotiated(key_exchange, host_key, cipher, _mac_of(cipher, mac))


def _mac_of(cipher: str, mac: str | None) -> str:
    """A cipher that proves the integrity of its data (AEAD) has no MAC beside it."""
    return "implicit" if "gcm" in cipher or "poly1305" in cipher else mac or "none"


def lacking(ours: Offer, theirs: Offer) -> tuple[str, tuple[str, ...]] | None:
    """The first kind of which nothing is common, and what the server knows of it."""
    ciphers_with_mac = not any(_mac_of(name, None) == "implicit" for name in ours.ciphers if name in theirs.ciphers)
    for (kind,), mine, known in zip(KINDS, ours, theirs, strict=True):
        if not set(mine) & set(known) and (kind != "MAC" or ciphers_with_mac):
            return kind, known
    return None


def nothing_in_common(server: Server, kind: str, theirs: Iterable[str]) -> SftpUnavailable:
    """`kind` is one of KINDS; `theirs` is the server's offer."""
    known = [name for name in theirs if name.isascii() and name.isprintable()]
    ours: Sequence[str] = next(mine for (name,), mine in zip(KINDS, offered(server), strict=True) if name == kind)
    old = [name for (name,), each in zip(KINDS, LEGACY, strict=True) if name == kind for name in each if name in known]
    hint = f"enable one of these on the server: {', '.join(ours)}"
    if old and not server.legacy_algorithms:
        hint = f"update the server's SSH; until then {SETTING} = true of this server allows {', '.join(old)}"
    return SftpUnavailable(
        f"no {kind} in common with {server.host}:{server.port}: it offers "
        f"{', '.join(known)[:OFFER_SHOWN_MAX] or 'none that is known'}",
        hint=hint,
    )
