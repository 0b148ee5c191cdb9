"""Requests are answered only if their `Host` header is one of Iris's own names.

The page has no login: every client that can reach it may see it. A browser on this machine can always reach it, so the
protection is the browser's same-origin policy: a script of another site may not read Iris's responses. That policy
compares names, and a name's owner can change its address: a site lets its own name point to 127.0.0.1 after its script
is loaded ("DNS rebinding"), and for the browser that script and this page are then of one origin. But the browser still
sends the site's name in `Host`.

The rules:
- `localhost` and every numeric address are accepted: their targets cannot be changed.
- So are the names given. Ports do not count: a tunnel has one of its own.
- Any other name gets 421 and a sentence, on every path and on the live socket.
- `open_paths` accept any name: the fixed endpoint, whose clients existed before this rule, and whose four counters are
  not secret.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from iris_communication.plain_text import PEER_NAME_MAX, cut

MISDIRECTED_REQUEST = 421
_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+))(?::\d{0,5})?")


def asked_name(host: str) -> str | None:
    """The name or address in a Host header, in lower case, without port, brackets and final dot; None for no host."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    return (found["address"] or found["name"]).lower().removesuffix(".")


def is_own(host: str, names: Collection[str]) -> bool:
    """Whether that Host header names this server; `names` in lower case."""
    name = asked_name(host)
    return name is not None and (name == "localhost" or name in names or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class OnlyOwnNames:
    """Passes on requests for one of `names`; for `open_paths` all requests."""

    def __init__(self, app: ASGIApp, names: Collection[str], open_paths: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        if scope["path"] in self._open_paths or is_own(host, self._names):
            await self._app(scope, receive, send)
        else:
            await _refusal(asked_name(host))(scope, receive, send)


def _refusal(name: str | None) -> PlainTextResponse:
    """For a WebSocket as well: its handshake gets the same response."""
    asked = f"the name {cut(name, PEER_NAME_MAX)}" if name else "no name or a wrong one"
    sentence = (
        f"This is Iris, and it was asked for by {asked}. Open it as localhost or by this machine's address; "
        "for another name, add it to names under [web] in Iris's settings.\n"
    )
    return PlainTextResponse(sentence, status_code=MISDIRECTED_REQUEST)
