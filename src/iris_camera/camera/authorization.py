"""Answering a camera's challenge: the Authorization header of HTTP and RTSP (RFC 7617, RFC 7616).

Digest before Basic, because Basic sends the password; and where Digest was offered the password is never sent, also
when that Digest uses an algorithm not known here. Cameras mostly ask for MD5; the strongest algorithm offered is used.
Several challenges may stand in one header line, so a line is parsed word by word.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_ALGORITHMS = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}  # the strongest first
_WORD = re.compile(r'[\s,]*([^\s,="]{1,200})(?:\s{0,8}=\s{0,8}(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')
# An unpaired quotation mark matches to the end of the text: a search that failed there would start again at each mark.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?P<end>"|\\?\Z)', re.DOTALL)
LONGEST_CHALLENGE = 4096
_EMPTY = ""


class Login(NamedTuple):
    """Username and password; its repr never shows the password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


class _Challenge(NamedTuple):
    """One way to log in that the camera offers."""

    scheme: str
    values: dict[str, str]


def basic_word(login: Login) -> str:
    """The word of Basic, as secret as the password: it decodes to username and password."""
    return b64encode(f"{login.username}:{login.password}".encode()).decode("ascii")


def answer(challenges: Sequence[str], login: Login, method: str, target: str, nonce_of_ours: str) -> str | None:
    """The value of the Authorization header for these WWW-Authenticate headers; None when none of them is known.

    `target` is the address as the request names it, `nonce_of_ours` a word nobody can guess.
    """
    offered = [challenge for text in challenges for challenge in _offered(text[:LONGEST_CHALLENGE])]
    digests = [challenge.values for challenge in offered if challenge.scheme == "digest"]
    for name, algorithm in _ALGORITHMS.items():
        for asked in digests:
            if asked.get("algorithm", "MD5").upper() in (name, f"{name}-SESS") and _protection(asked) is not None:
                return _digest(asked, algorithm, login, method, target, nonce_of_ours)
    basic = any(challenge.scheme == "basic" for challenge in offered)
    if basic and not digests and not any(map(_may_offer_digest, challenges)):
        return f"Basic {basic_word(login)}"
    return None


def is_stale(challenges: Sequence[str]) -> bool:
    """Whether the camera only wants the same answer to a newer nonce."""
    return any(
        challenge.scheme == "digest" and challenge.values.get("stale", "").lower() == "true"
        for text in challenges
        for challenge in _offered(text[:LONGEST_CHALLENGE])
    )


def _may_offer_digest(text: str) -> bool:
    """True also where the header cannot be parsed: unpaired quotation marks or a too long text may hide it."""
    rest = (
        _QUOTED.sub(lambda found: "" if found["end"] == '"' else found[0], text)
        if len(text) <= LONGEST_CHALLENGE
        else text
    )
    return "digest" in (text if '"' in rest else rest).lower()


def _offered(text: str) -> Iterator[_Challenge]:
    """A word without a value begins the next challenge; a stray quotation mark or sign is skipped."""
    challenge: _Challenge | None = None
    place = 0
    while place < len(text):
        found = _WORD.match(text, place)
        if found is None:
            place += 1
            continue
        place = found.end()
        name, quoted, bare = found.groups()
        if quoted is None and bare is None:
            if challenge is not None:
                yield challenge
            challenge = _Challenge(name.lower(), {})
        elif challenge is not None:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            challenge.values.setdefault(name.lower(), value)
    if challenge is not None:
        yield challenge


def _protection(asked: dict[str, str]) -> str | None:
    """The quality of protection to answer with: nothing where none is asked for, None where none is known."""
    offered = [word.strip().lower() for word in asked.get("qop", "").split(",") if word.strip()]
    if not offered:
        return _EMPTY
    return next((known for known in ("auth", "auth-int") if known in offered), None)


def _digest(asked: dict[str, str], algorithm: str, login: Login, method: str, target: str, nonce_of_ours: str) -> str:
    def hashed(text: str) -> str:
        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce, protection = asked.get("realm", ""), asked.get("nonce", ""), _protection(asked)
    who = hashed(f"{login.username}:{realm}:{login.password}")
    in_session = asked.get("algorithm", "").upper().endswith("-SESS")
    if in_session:
        who = hashed(f"{who}:{nonce}:{nonce_of_ours}")
    what = f"{method}:{target}" + (f":{hashed(_EMPTY)}" if protection == "auth-int" else "")  # a request without body
    secretly = asked.get("userhash", "").lower() == "true"
    username = hashed(f"{login.username}:{realm}") if secretly else login.username
    values = {"username": username, "realm": realm, "nonce": nonce, "uri": target}
    plain = ""
    if protection or in_session:
        values["cnonce"] = nonce_of_ours
    if protection:
        values["response"] = hashed(f"{who}:{nonce}:00000001:{nonce_of_ours}:{protection}:{hashed(what)}")
        plain = f", qop={protection}, nc=00000001"
    else:
        values["response"] = hashed(f"{who}:{nonce}:{hashed(what)}")
    if "opaque" in asked:
        values["opaque"] = asked["opaque"]
    if "algorithm" in asked:
        plain += f", algorithm={asked['algorithm']}"
    if secretly:
        plain += ", userhash=true"
    return "Digest " + ", ".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + plain


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
