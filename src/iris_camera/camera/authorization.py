"""Answering a camera that asks who we are: the Authorization header of HTTP and RTSP (RFC 7617, RFC 7616).

Digest before Basic, because Basic sends the password. MD5 is what cameras ask for; where they offer SHA-256 too, that
is taken.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

_ALGORITHMS = {"SHA-256": "sha256", "MD5": "md5"}
_PARAMETER = re.compile(r'(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Login(NamedTuple):
    """Who we are; its text never shows the password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


def answer(challenges: Sequence[str], login: Login, method: str, target: str, nonce_of_ours: str) -> str | None:
    """The value of the Authorization header for these WWW-Authenticate headers; None when none of them is known.

    `target` is the address as the request names it, `nonce_of_ours` a word nobody can guess.
    """
    digests = [_parameters(text) for text in challenges if text.lower().startswith("digest")]
    for name, algorithm in _ALGORITHMS.items():
        for asked in digests:
            if asked.get("algorithm", "MD5").upper() == name and asked.get("qop", "auth"):
                return _digest(asked, algorithm, login, method, target, nonce_of_ours)
    if any(text.lower().startswith("basic") for text in challenges):
        return "Basic " + b64encode(f"{login.username}:{login.password}".encode()).decode("ascii")
    return None


def _parameters(challenge: str) -> dict[str, str]:
    found = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(challenge)}
    offered = [word.strip() for word in found.get("qop", "").split(",")]
    if "qop" in found:
        found["qop"] = "auth" if "auth" in offered else ""
    return found


def _digest(asked: dict[str, str], algorithm: str, login: Login, method: str, target: str, nonce_of_ours: str) -> str:
    def hashed(text: str) -> str:
        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
    who = hashed(f"{login.username}:{realm}:{login.password}")
    what = hashed(f"{method}:{target}")
    values = {"username": login.username, "realm": realm, "nonce": nonce, "uri": target}
    plain = ""
    if "qop" in asked:
        response = hashed(f"{who}:{nonce}:00000001:{nonce_of_ours}:auth:{what}")
        values["cnonce"] = nonce_of_ours
        plain = ", qop=auth, nc=00000001"
    else:
        response = hashed(f"{who}:{nonce}:{what}")
    values["response"] = response
    if "opaque" in asked:
        values["opaque"] = asked["opaque"]
    if "algorithm" in asked:
        plain += f", algorithm={asked['algorithm']}"
    return "Digest " + ", ".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + plain


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
