"""A resource that one thread uses and any thread may close.

Releasing an OpenCV capture while another thread is inside one of its calls crashes the process. So closing it during a
call only sets a flag, and the thread that returns from the call releases it; a call that never returns keeps it for
ever.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Resource = TypeVar("Resource")
Result = TypeVar("Result")


class ResourceHandle(Generic[Resource]):
    """`release` is called once: by the thread that closes, or by the one that returns from the call in progress."""

    def __init__(self, resource: Resource, release: Callable[[Resource], object]) -> None:
        self._resource: Resource | None = resource
        self._release = release
        self._using = threading.Lock()
        self._closed = False

    def use(self, work: Callable[[Resource], Result]) -> Result | None:
        """The result of `work(resource)`; None when it is closed."""
        try:
            with self._using:
                return None if self._closed or self._resource is None else work(self._resource)
        finally:
            if self._closed:
                self.close()

    def close(self) -> None:
        """Release it now, or at the end of the call in progress."""
        self._closed = True
        if self._using.acquire(blocking=False):
            try:
                resource, self._resource = self._resource, None
                if resource is not None:
                    self._release(resource)
            finally:
                self._using.release()
