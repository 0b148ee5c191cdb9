"""Only who asks for Iris by one of its own names is answered.

The page has no login: who can reach it may see it. A browser on this machine can always reach it, so its walls are
the browser's: a script of another site may not read our answers. Those walls are built of names, and names can be
turned: a site lets its own name point to 127.0.0.1 after its script is loaded ("DNS rebinding"), and to the browser
that script and this page are then of one origin. But the browser goes on to say whose name it asked for, in `Host`.

The rules:
- `localhost` and every address written as digits may ask: nobody can turn those.
- So may the names given. Ports do not count: a tunnel has one of its own.
- All others get 421 and a sentence, on every path and on the live socket, whatever they ask for.
- Paths named `open` answer anybody: the fixed endpoint, whose askers were there before this rule, and whose four
  counters are nobody's secret.
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
    """Whether that Host header asks for us; `names` in lower case."""
    name = asked_name(host)
    return name is not None and (name == "localhost" or name in names or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class OnlyOwnNames:
    """Answers who asked for one of `names`; for `open_paths` everybody."""

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
    """For a WebSocket as well: its handshake is answered in the same words."""
    asked = f"the name {cut(name, PEER_NAME_MAX)}" if name else "no name or a wrong one"
    sentence = (
        f"This is Iris, and it was asked for by {asked}. Open it as localhost or by this machine's address; "
        "for another name, add it to names under [web] in Iris's settings.\n"
    )
    return PlainTextResponse(sentence, status_code=MISDIRECTED_REQUEST)
