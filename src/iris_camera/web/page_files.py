"""The page's own files, read into memory once and served unchanged.

From memory, because the page has to load even when the disk no longer answers: that is when an operator needs it.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter
from fastapi.responses import Response

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_router() -> APIRouter:
    """`GET /` is the page; each file that it consists of has a route beside it."""
    router = APIRouter()
    for file in files("iris_camera.web").joinpath("page").iterdir():
        media_type = MEDIA_TYPES.get(PurePath(file.name).suffix)
        if media_type is not None:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            router.add_api_route(path, _answer(file.read_bytes(), media_type), methods=["GET"])
    return router


def _answer(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(content, media_type=media_type)

    return answer
