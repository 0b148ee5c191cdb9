"""The HTTP interface for other programs: the whole state, whether Iris is ready, and the latest picture.

The state is read from values in memory, on the web loop; a picture is made on a thread of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from iris_camera.web.picture_encoder import LARGEST_WIDTH, PictureEncoder, UnknownCamera
from iris_camera.web.state import Snapshot, cleaned


def api_router(*, snapshot: Snapshot, health: Callable[[], Mapping[str, Any]], pictures: PictureEncoder) -> APIRouter:
    """`GET /api/state`, `GET /api/health` (200 when ready, else 503), `GET /api/camera/{name}.jpg?width=480`."""
    router = APIRouter(prefix="/api")

    @router.get("/state")
    async def state() -> JSONResponse:
        return JSONResponse(snapshot())

    @router.get("/health")
    async def ready() -> JSONResponse:
        answer = cleaned(health())
        return JSONResponse(answer, status_code=200 if answer["ready"] else 503)

    @router.get("/camera/{name}.jpg")
    async def picture(name: str, width: int = LARGEST_WIDTH) -> Response:
        try:
            jpeg = await pictures.jpeg(name, width)
        except UnknownCamera:
            known = ", ".join(pictures.names) or "none"
            return JSONResponse({"sentence": f"There is no camera {name}; there is: {known}."}, status_code=404)
        if jpeg is None:
            sentence = f"Camera {name} has no picture yet; ask again in a second."
            return JSONResponse({"sentence": sentence}, status_code=503, headers={"Retry-After": "1"})
        return Response(jpeg, media_type="image/jpeg")

    return router
