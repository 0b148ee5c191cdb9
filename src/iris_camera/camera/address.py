"""The address of a camera in the network, which never holds a credential.

An address is stored, logged and shown on the page, so a password in it would be in all of these. Username and
password are settings of their own, and an address that carries one is refused. Some cameras want them inside the
address nevertheless; there `{username}` and `{password}` stand for them, and are filled in only for the call.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

DEFAULT_PORTS = {"rtsp": 554, "http": 80, "https": 443}
_WHERE_IT_BELONGS = "give them as the camera's settings username and password"
_PLACEHOLDERS = "and write {username} and {password} in the address where the camera wants to see them"
# How cameras name a password inside an address, as a parameter or in the path (rtsp://host/user=a&password=b).
_NAMED_CREDENTIAL = re.compile(
    r"(?i)(?:^|[?&;/_])(?:password|passwd|pass|pwd|psw|token|secret|api_?key)=(?!\{password\})[^&;/]"
)


class Address(NamedTuple):
    """A network camera's address in its parts; `text` is the whole, placeholders included, and may be shown."""

    text: str
    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """`host:port`, for texts."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def filled(self, username: str, password: str) -> str:
        """The address with the placeholders replaced: secret, for the call only."""
        text = self.text.replace("{username}", quote(username, safe=""))
        return text.replace("{password}", quote(password, safe=""))

    def with_credentials(self, username: str, password: str) -> str:
        """The address as FFmpeg wants it, `scheme://user:password@host/...`: secret, for the call only."""
        filled = self.filled(username, password)
        if not username or filled != self.text:
            return filled
        before, after = filled.split("://", 1)
        return f"{before}://{quote(username, safe='')}:{quote(password, safe='')}@{after}"

    def target(self, username: str, password: str) -> str:
        """Path and query, as HTTP asks for them: secret where there are placeholders."""
        filled = self.filled(username, password)
        parts = urlsplit("".join(letter if letter.isascii() else quote(letter) for letter in filled))
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def parse_address(text: str) -> Address:
    """The parts of an `rtsp://`, `http://` or `https://` address. Raises ValueError, never quoting a credential."""
    scheme = text.partition(":")[0].lower()
    if "@" in text:
        # Also where the @ stands in a path: attacks and mistakes both rely on confusing the two.
        raise ValueError(
            f"the {scheme} address holds credentials (or an @, which an address writes as %40): {_WHERE_IT_BELONGS}"
        )
    if _NAMED_CREDENTIAL.search(text):
        raise ValueError(f"the {scheme} address holds a password: {_WHERE_IT_BELONGS}, {_PLACEHOLDERS}")
    if re.search(r"[\s\x00-\x20\x7f]", text):
        raise ValueError(f"the {scheme} address holds a space or a control character: expected none (a space is %20)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"the address {text!r} cannot be read: {error}") from None
    if scheme not in DEFAULT_PORTS or parts.scheme != scheme or not host:
        raise ValueError(f"the address {text!r} names no host: expected {scheme or 'rtsp'}://host[:port]/path")
    return Address(text, scheme, host, port if port is not None else DEFAULT_PORTS[scheme])
