"""What befalls the link while processes are killed, in a thread of its own: sessions cut, restarts, silences."""

import threading
from collections import Counter
from collections.abc import Iterator
from types import TracebackType

from tests.servers.openssh import OpenSshServer
from tests.torture.moments import ServerTrouble

END_S = 30.0


class TroubledLink:
    """Troubles the server while the context lasts, and leaves it answering. What could not be done is raised then."""

    def __init__(self, server: OpenSshServer, troubles: Iterator[ServerTrouble]) -> None:
        self.counts: Counter[str] = Counter()
        self._server, self._troubles = server, troubles
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._trouble, name="trouble", daemon=True)

    def __enter__(self) -> "TroubledLink":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(END_S)
        if self._error is not None and error is None:
            raise self._error

    def _trouble(self) -> None:
        try:
            for trouble in self._troubles:
                if self._over.wait(trouble.after_s):
                    return
                self._befall(trouble)
                self.counts[trouble.name] += 1
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._error = error

    def _befall(self, trouble: ServerTrouble) -> None:
        if trouble.name == "cut":
            self._server.cut()
        elif trouble.name == "restart":
            self._server.restart()
        else:
            self._server.freeze()
            try:
                self._over.wait(trouble.lasts_s)
            finally:
                self._server.thaw()
