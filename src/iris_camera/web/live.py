"""The live socket: the whole state, a few times a second, to every connected page.

The idea: one task serves all pages. While at least one page is connected, a task on the web loop takes one snapshot a
period, serialises it once and puts the text into each page's slot. Each page has a task of its own that sends its
slot's text. A slot holds only the newest text. So a slow page misses states instead of queueing them, and no page waits
for another.

What goes wrong: a page that no longer reads (closed after a deadline), a page that is gone (its task ends), a
snapshot that raises (logged once; pages notice the silence and show it), too many pages (the next is closed with
1013, try again later), another site's script in a user's browser that tries to read the socket (refused: its origin is
not this server).
"""

import asyncio
import contextlib
import json
import logging
import threading

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from iris_camera.web.state import Snapshot
from iris_communication.plain_text import PEER_NAME_MAX, clean
from iris_communication.runtime.repeats import Repeats

log = logging.getLogger(__name__)

GOING_AWAY = 1001
COME_BACK_LATER = 1013
MESSAGES_MAX = 100  # of a page, which needs to send none


class SocketManager:
    """Pushes `snapshot()` to connected pages; `router` holds the WebSocket `/live`.

    `snapshot` is called on the web loop, only while a page is connected, and must not block.
    """

    def __init__(
        self, snapshot: Snapshot, *, period_s: float = 0.25, send_timeout_s: float = 5.0, pages_limit: int = 32
    ) -> None:
        self._snapshot = snapshot
        self._period_s = period_s
        self._send_timeout_s = send_timeout_s
        self._pages_limit = pages_limit
        self._pages: set[_Page] = set()
        self._pulse: asyncio.Task[None] | None = None
        self._snapshot_failed = False
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all_gone = threading.Event()
        self._all_gone.set()
        self._repeats = Repeats(log)
        self.router = APIRouter()
        self.router.add_api_websocket_route("/live", self._attend)

    @property
    def connected(self) -> int:
        """How many pages are connected now."""
        return len(self._pages)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close every page's socket (1001, going away) and take no new one.

        From any thread but the web loop's. Returns when they are closed, after `timeout_s` at the latest.
        """
        self._stopping = True
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its sockets with it
            self._loop.call_soon_threadsafe(self._dismiss_all)
            self._all_gone.wait(timeout_s)

    def _dismiss_all(self) -> None:
        for page in self._pages:
            page.dismiss()

    async def _attend(self, websocket: WebSocket) -> None:
        if not _same_origin(websocket):
            origin = clean(websocket.headers.get("origin", ""), PEER_NAME_MAX)
            self._repeats.log("origin", logging.WARNING, "a page of %s may not read the live socket", origin)
            await websocket.close()
            return
        await websocket.accept()
        if self._stopping or len(self._pages) >= self._pages_limit:
            code = GOING_AWAY if self._stopping else COME_BACK_LATER
            await websocket.close(code, "Iris is stopping" if self._stopping else "too many pages are open")
            return
        page = _Page(self._send_timeout_s)
        self._enter(page)
        try:
            await page.serve(websocket)
        finally:
            self._leave(page)

    def _enter(self, page: "_Page") -> None:
        self._loop = asyncio.get_running_loop()
        self._all_gone.clear()
        self._pages.add(page)
        text = self._take()
        if text is not None:
            page.offer(text)
        if self._stopping:  # stop() may have come between the caller's check and this page's entry
            page.dismiss()
        if self._pulse is None or self._pulse.done():
            self._pulse = self._loop.create_task(self._beat())

    def _leave(self, page: "_Page") -> None:
        self._pages.discard(page)
        if not self._pages:
            self._all_gone.set()
            if self._pulse is not None:
                self._pulse.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            text = self._take()
            if text is not None:
                for page in self._pages:
                    page.offer(text)

    def _take(self) -> str | None:
        try:
            # No NaN: JSON has none, and a browser would refuse the whole text.
            text = json.dumps(self._snapshot(), allow_nan=False, separators=(",", ":"))
        except Exception:
            # Cameras, uploader and health are injected: a failure there must not end the socket of every page.
            if not self._snapshot_failed:
                log.exception("live: reading the state failed; pages get no news until it works again")
            self._snapshot_failed = True
            return None
        self._snapshot_failed = False
        return text


class _Page:
    """One connected page: a slot for the newest text, and the task that sends it."""

    def __init__(self, send_timeout_s: float) -> None:
        self._send_timeout_s = send_timeout_s
        self._text = ""
        self._gone = False
        self._dismissed = False
        self._news = asyncio.Event()

    def offer(self, text: str) -> None:
        self._text = text
        self._news.set()

    def dismiss(self) -> None:
        self._dismissed = True
        self._news.set()

    async def serve(self, websocket: WebSocket) -> None:
        """Send until the page is gone, too slow or dismissed; raises nothing that the web server would log."""
        listening = asyncio.create_task(self._listen(websocket))
        try:
            await self._send(websocket)
        except WebSocketDisconnect:
            pass
        except TimeoutError:
            log.info("live: closed a page that read nothing for %.0f s", self._send_timeout_s)
        finally:
            listening.cancel()

    async def _send(self, websocket: WebSocket) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._dismissed:
                async with asyncio.timeout(self._send_timeout_s):
                    await websocket.close(GOING_AWAY, "Iris is stopping")
                return
            if self._gone:
                return
            async with asyncio.timeout(self._send_timeout_s):
                await self._send_text(websocket)

    async def _send_text(self, websocket: WebSocket) -> None:
        try:
            await websocket.send_text(self._text)
        except RuntimeError as error:  # uvicorn has ended the connection, and `_listen` has not seen it yet
            raise WebSocketDisconnect from error

    async def _listen(self, websocket: WebSocket) -> None:
        """A page sends nothing that is needed, but only receiving shows that it is gone. One that sends more than
        `MESSAGES_MAX` messages is dropped."""
        for _ in range(MESSAGES_MAX):
            if (await websocket.receive())["type"] == "websocket.disconnect":
                break
        self._gone = True
        self._news.set()


def _same_origin(websocket: WebSocket) -> bool:
    """Browsers name the origin of a script; other programs name none, or write a text that is no address at all."""
    origin = websocket.headers.get("origin")
    return origin is None or origin.partition("://")[2].lower() == websocket.headers.get("host", "").lower()
