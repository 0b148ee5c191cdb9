"""What the `ssh` program says, and which error that is.

ssh has no exceptions: it writes lines to its standard error and exits with 255. In the C locale and at log level DEBUG1
they show how far it came, and that decides as much as their text does: "Permission denied" before the server has shown
its banner comes from a jump host. Between ssh's own lines stand those of the server (banners, what a login script
writes) and of jump hosts; only ssh's own lines count for success, and a false line about a failure only misnames it.

Lines beginning with "debug" are for us; the others are kept as ssh wrote them, and go into the error's text. What the
server's program writes may come without a line end or in pieces, and ssh's own lines stand right behind or in between.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    CredentialsUnusable,
    HostKeyRejected,
    HostNotFound,
    IrisError,
    JumpHostFailed,
    LinkError,
    LinkLost,
    LinkTimeout,
    SftpUnavailable,
    SshProgramMissing,
    SshProgramUnusable,
)
from iris_communication.plain_text import PEER_NAME_MAX, PEER_TEXT_MAX, cut
from iris_communication.transport.algorithms import Negotiated
from iris_communication.transport.server_text import (
    GREETING_LINES_MAX,
    REFUSES_US,
    SAID_LINES_MAX,
    ended,
    readable,
    without,
)

LINES_MAX = 40
LINE_BYTES_MAX = 5_000  # one of ssh's own may hold a path
DEBUG = re.compile(rb"debug[123]: ")
FUNCTION = re.compile(r"^[^\s:]+:[^\s(]+\(\):\d+ \(pid=\d+\): ")  # before each line of a function that LogVerbose names
OFFER = re.compile(
    r"^(?:Offering public key|Trying private key): (?P<name>.*?)(?: [A-Z0-9-]+ (?:SHA256|MD5):.*)?$"
    r'|^(?:\w+: )?using private key "(?P<of_certificate>.*)"(?: from agent)? for certificate$'
)
NEGOTIATED = re.compile(
    r"kex: (?:algorithm: (?P<key_exchange>\S+)|host key algorithm: (?P<host_key>\S+)"
    r"|client->server cipher: (?P<cipher>\S+) MAC: (?P<mac>\S+) )"
)
EXIT_STATUS = re.compile(r"Exit status (?P<status>\d{1,3})")
NO_MATCH = re.compile(r"no matching (?P<kind>[a-zA-Z ]{1,40}) found(?:\. Their offer: (?P<offer>\S*))?")
KIND_OF_SSH = {
    "key exchange method": "key exchange",
    "host key type": "kind of host key",
    "cipher": "cipher",
    "MAC": "MAC",
    "compression method": "compression",
    "compression type": "compression",
}
OF_A_LOGIN = re.compile(r"^(?:\S+: )?(?:Permission denied|Warning: |Disconnected from |Load key |Authentication)")
# What it writes at its end, and at the beginning, whatever comes of the connection.
BY_THE_WAY = re.compile(r"^(?:Transferred: sent |Bytes per second: sent |Authenticated (?:to|using) |\*\* )")
OF_ITS_END = re.compile(r"^(?:Connection to |Connection closed |Connection reset |Timeout, |client_loop: |Read from )")
PROVED = re.compile(r'^Authenticated (?:to|using) .*"publickey"|^Authentication succeeded \(publickey\)')
BANNER_LINE = re.compile(r"^.*banner line \d+: ")
IN_MEMORY = re.compile(r"/proc/\d+/fd/\d+")  # the file in memory of a private key given as text

# In the order a connection passes them; each is what is under way once ssh has written the line.
STAGES = (
    ("looking up and reaching the server", ""),
    ("waiting for its banner", "Connection established."),
    ("exchanging keys", "Remote protocol version "),
    ("authenticating", "SSH2_MSG_NEWKEYS received"),
    ("opening the SFTP session", "Sending subsystem: "),
    ("speaking SFTP", "subsystem request accepted"),
)
BANNER, AUTHENTICATION, ASKED_FOR_SFTP, ACCEPTED = 2, 3, 4, 5


class SshFailed(Exception):
    """All that ssh wrote, as the cause of the error it means."""


class SshOutput:
    """Fed with ssh's standard error as it comes."""

    def __init__(self, hidden: Sequence[str] = ()) -> None:
        self._hidden = hidden  # our secrets, which a server might send back
        self.lines: list[str] = []  # without those for debugging
        self.stage = 0
        self.software = ""
        self.by_proxy = False
        self.key_trouble = ""
        self.greeting: list[str] = []  # what the server sends before its name, such as why it refuses us
        self.proofs: list[str] = []  # the files of the keys that we were let in by, as ssh writes them
        self.exit_status: int | None = None  # of what the server ran for us
        self.signs_with_sha1_alone = False
        self._kex: dict[str, str] = {}
        self._offer = ""
        self._rest = b""
        self._unended = b""  # what the server's program wrote without a line end before one of ssh's lines

    def feed(self, data: bytes) -> None:
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LINE_BYTES_MAX:]
        for line in whole:
            self._hear(line)

    def end(self) -> None:
        """Nothing more comes; a last line may lack its end."""
        self.feed(b"\n")
        self._keep(b"")

    @property
    def doing(self) -> str:
        return STAGES[self.stage][0]

    @property
    def besides(self) -> list[str]:
        """The server's own lines, as far as they can be distinguished from those of ssh."""
        return [line for line in self.lines if not OF_A_LOGIN.match(line)][-SAID_LINES_MAX:]

    @property
    def lacking(self) -> tuple[str, list[str]] | None:
        """The kind of algorithm of which nothing is common, and what the server offers."""
        found = next((match for line in self.lines if (match := NO_MATCH.search(line))), None)
        if found is None or found["kind"] not in KIND_OF_SSH:
            return None
        return KIND_OF_SSH[found["kind"]], (found["offer"] or "").split(",")

    @property
    def algorithms(self) -> Negotiated | None:
        if len(self._kex) < len(Negotiated._fields):
            return None
        return Negotiated(**{name: word.strip("<>") for name, word in self._kex.items()})

    @property
    def text(self) -> str:
        return "\n".join([*self.greeting, *self.lines])

    def last(self, count: int = 2) -> str:
        return "; ".join(self.lines[-count:])

    def _hear(self, line: bytes) -> None:
        own = DEBUG.search(line)
        if own is not None and self.stage >= ASKED_FOR_SFTP:
            self._unended = (self._unended + line[: own.start()])[-LINE_BYTES_MAX:]
            line = line[own.start() :]
        said = _without_marks(line)
        if self._offer and PROVED.match(said):
            self.proofs.append(self._offer)
        if not DEBUG.match(line):
            self._keep(line, said)
            return
        for stage, (_, begins) in enumerate(STAGES):
            if begins and said.startswith(begins):
                self.stage = max(self.stage, stage)
        self._note(said)
        if said.startswith(STAGES[AUTHENTICATION][1]):
            self.proofs, self._offer = [], ""  # of a jump host's
        elif said.startswith("Remote protocol version "):
            self.software = cut(said.partition("remote software version ")[2], PEER_NAME_MAX)
        elif said.startswith(("Executing proxy command", "Executing proxy dialer command")):
            self.by_proxy = True
        elif said.startswith(("bad passphrase given", "no passphrase given")):
            self.key_trouble = "its passphrase is missing or wrong"
        elif "banner line" in said:
            self.greeting = [*self.greeting, cut(BANNER_LINE.sub("", said), PEER_TEXT_MAX)][-GREETING_LINES_MAX:]
        elif (offer := OFFER.match(said)) is not None:
            self._offer = offer["name"] or offer["of_certificate"] or ""

    def _note(self, said: str) -> None:
        """Take what it needs from a line that is no stage."""
        if (negotiated := NEGOTIATED.match(said)) is not None and self.stage < ASKED_FOR_SFTP:
            self._kex |= {name: cut(word, PEER_NAME_MAX) for name, word in negotiated.groupdict().items() if word}
        elif (exit_status := EXIT_STATUS.fullmatch(said)) is not None:
            self.exit_status = int(exit_status["status"])
        elif "no mutual signature" in said:
            self.signs_with_sha1_alone = True

    def _keep(self, output: bytes, said: str = "") -> None:
        if BY_THE_WAY.match(said):
            return
        if self._unended and OF_ITS_END.match(said):
            self._keep(b"")
        output, self._unended = self._unended + output, b""
        if line := IN_MEMORY.sub("given as text", _without_marks(output)):
            self.lines = [*self.lines, cut(without(self._hidden, line), PEER_TEXT_MAX)][-LINES_MAX:]


def _without_marks(line: bytes) -> str:
    """A line of ssh, without its log level and function."""
    return FUNCTION.sub("", readable(DEBUG.sub(b"", line), LINE_BYTES_MAX))


def as_written(path: str) -> str:
    """As ssh writes the name of a file: it escapes what is not ASCII, and the backslash."""
    return "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" for byte in os.fsencode(path)
    )


class Said(NamedTuple):
    """One kind of failure: the line that shows it (`{line}` in the text stands for it), and the error it is."""

    pattern: re.Pattern[str]
    kind: type[IrisError]
    text: str
    hint: str | None = None


def _said(pattern: str, kind: type[IrisError], text: str, hint: str | None = None) -> Said:
    return Said(re.compile(pattern), kind, text, hint)


OURSELVES = (
    _said(r"^cannot run ", SshProgramMissing, "the program ssh cannot be run: {line}"),
    _said(
        r"Bad configuration option|bad configuration options|^Bad owner or permissions|^command-line: line"
        r"|line \d+: (Bad|bad|Missing|missing|keyword|unsupported|no argument|invalid)|^Can't open user config"
        r"|^Unsupported|unknown option|^(vdollar_)?percent_expand"
        r"|KnownHostsCommand .{0,200}(failed|not absolute|exited)",
        SshProgramUnusable,
        "the program ssh cannot be used for {server}: {line}",
    ),
)
NO_ACCOUNT = _said(
    r"^No user exists for uid",
    SshProgramUnusable,
    "the program ssh cannot be used for {server}: {line}",
    'ssh refuses to run for a user without an entry in /etc/passwd: give it one, or set transport = "asyncssh"',
)
INVALID_USER = _said(
    r"^remote username contains invalid characters",
    CredentialsUnusable,
    "the program ssh does not take the user name of {server}: {line}",
    'set transport = "asyncssh", which takes any',
)
NAME = _said(
    r"Could not resolve hostname|hostname contains invalid|[Nn]o address associated",
    HostNotFound,
    "the host name {host!r} cannot be resolved: {line}",
)
REFUSED = _said(r"Connection refused", ConnectionRefused, "{where} refuses connections: {line}")
TIMED_OUT = _said(r"timed out|not responding", LinkTimeout, "{where} did not finish connecting: {line}")
UNREACHABLE = _said(r"^ssh: connect to host ", LinkError, "cannot connect to {where}: {line}")
HOST_KEY = _said(
    r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|revoked by file",
    HostKeyRejected,
    "the host key of {server} is not trusted: {line}",
)
ALGORITHMS = _said(
    r"^Unable to negotiate |no matching (cipher|key exchange method|host key type|MAC|compression)",
    SftpUnavailable,
    "no algorithm in common with {where}: {line}",
    "update the server's SSH, or allow the algorithm it offers in ssh_config (Ciphers, KexAlgorithms, MACs)",
)
DENIED = _said(
    r"Permission denied \(|Permission denied, |^Received disconnect from .* port \d+:1[45]: |" + REFUSES_US.pattern,
    AuthenticationFailed,
    "{server} refused the credentials: {line}",
)
NO_SESSION = _said(
    r"subsystem request failed|open failed|no more sessions|[Ss]ession open refused",
    SftpUnavailable,
    "{server} opened no SFTP session: {line}",
)
BAD_KEY = re.compile(
    r"^Load key |^no such identity|Permissions .{0,200} too open|agent refused operation|^Identity file "
)

# What may have failed, by how far the connection has come; the first of them that a line shows counts.
DIRECTLY = (NAME, REFUSED, TIMED_OUT, UNREACHABLE)
WITH_THE_SERVER = (ALGORITHMS, HOST_KEY, DENIED, NO_SESSION, TIMED_OUT)


def what_failed(output: SshOutput, server: str, host: str, port: int) -> IrisError:
    """The error of an `ssh` that ended before its SFTP session began. `server` is the server's key."""
    where = f"{host}:{port}"
    if (said := _first((*OURSELVES, NO_ACCOUNT, INVALID_USER), output)) is not None:
        return _error(*said, server, host, where)
    if output.by_proxy and output.stage < BANNER:
        return _on_the_way(output, server, where)
    if output.stage < BANNER:
        said = _first(DIRECTLY, output)
    elif output.stage >= ASKED_FOR_SFTP:
        said = _first((NO_SESSION, TIMED_OUT), output)
        if said is None and output.stage >= ACCEPTED:
            return what_ended(output, server, None)
    else:
        said = _first(WITH_THE_SERVER, output)
    if said is not None and said[0] is DENIED and (trouble := _key_trouble(output)):
        return CredentialsUnusable(f"the private key for {server} cannot be used: {trouble}")
    if said is not None:
        return _error(*said, server, host, where)
    reason = "; ".join([*output.greeting, *output.lines[-2:]]) or f"ssh says nothing (it was {output.doing})"
    return LinkLost(f"{where} ended the connection while it was being made: {reason}")


def what_ended(output: SshOutput, server: str, status: int | None) -> IrisError:
    """The error of an `ssh` that ended after its SFTP session had begun."""
    if output.exit_status is not None:
        return ended(server, output.lines[-SAID_LINES_MAX:], "", f"exit status {output.exit_status}")
    return ended(server, [], output.last() or f"ssh ended with status {status}", "")


def _on_the_way(output: SshOutput, server: str, where: str) -> IrisError:
    """A jump host's `ssh` writes the same lines. After a refusal there we do not go on connecting."""
    for said in (HOST_KEY, DENIED):
        if (found := _first((said,), output)) is not None:
            return said.kind(f"a jump host on the way to {server} was not passed: {found[1]}")
    if (found := _first((_REFUSED_BEHIND,), output)) is not None:
        return _error(*found, server, where, where)
    return JumpHostFailed(
        f"the jump host or proxy to {where} from ssh_config failed: {output.last(3) or 'it says nothing'}"
    )


_REFUSED_BEHIND = _said(r"open failed: connect failed: Connection refused", ConnectionRefused, REFUSED.text)


def _key_trouble(output: SshOutput) -> str:
    return next((line for line in output.lines if BAD_KEY.search(line)), output.key_trouble)


def _first(kinds: tuple[Said, ...], output: SshOutput) -> tuple[Said, str] | None:
    return next(((kind, line) for kind in kinds for line in output.lines if kind.pattern.search(line)), None)


def _error(said: Said, line: str, server: str, host: str, where: str) -> IrisError:
    return said.kind(said.text.format(line=line, server=server, host=host, where=where), hint=said.hint)
