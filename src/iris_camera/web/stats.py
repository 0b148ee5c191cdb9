"""The fixed endpoint. Its path and its response are a contract with existing monitoring: add nothing.

The response is made on the web loop itself, from four counters that never block, so that neither a full thread pool
nor the drain at the end delays it.
"""

from typing import Any, Protocol

from fastapi import APIRouter

PATH = "/sftp-uploader-stats"


class CountingUploader(Protocol):
    """What the endpoint reads of the uploader."""

    @property
    def running(self) -> bool: ...

    def get_stats(self) -> dict[str, int]:
        """`{"total_queued", "total_uploaded", "total_failed", "queue_size"}`; never blocks."""


def stats_router(uploader: CountingUploader) -> APIRouter:
    """`GET /sftp-uploader-stats`: `{"running": bool, "stats": {the uploader's four counters}}`."""
    router = APIRouter()

    @router.get(PATH, response_model=None)
    async def sftp_uploader_stats() -> dict[str, Any]:
        return {"running": uploader.running, "stats": uploader.get_stats()}

    return router
