"""A production line made of values: what cameras, uploader, records and health report to the page; a test sets it."""

import asyncio

import cv2
import httpx
import numpy as np

from iris_camera.web.live import SocketManager
from iris_camera.web.picture import DrawnMark, Picture
from iris_camera.web.server import create_app
from iris_camera.web.state import whole_snapshot
from iris_camera.web.stats import stats_router

NOW_S = 1_700_000_000.0
SERVER = "iris@127.0.0.1:2222"


class FakeCamera:
    def __init__(self, name="line-1", *, since_s=NOW_S - 600):
        self.name = name
        self.seen = {
            "name": name,
            "state": "online",
            "reason": None,
            "since_s": since_s,
            "source": f"rtsp://10.0.0.9/{name}",
            "live": True,
            "frame_rate": 25.0,
            "frames": 1234,
            "frames_per_s": 25.0,
            "frame_age_s": 0.04,
            "skipped": 2,
            "reconnects": 1,
            "parts": 61,
            "defects": 9,
            "csv_files": 24,
            "evidence_files": 18,
            "evidence_skipped": 0,
            "waiting_records": 0,
            "errors": 0,
            "inspection": {
                "state": "running",
                "restarts": 0,
                "reason": None,
                "inference_ms": {"p50": 4.1, "p99": 9.8},
                "provider": "CPU",
                "detector": "haar",
            },
            "events": [{"at_s": since_s, "state": "online", "reason": None}],
        }
        self.picture = Picture(7, belt(), (DrawnMark(200, 120, 160, 120, "good 0.98"),))
        self.pictures_asked = 0

    def snapshot(self):
        return dict(self.seen)

    def latest_picture(self):
        self.pictures_asked += 1
        return self.picture

    def turn(self, state, reason=None, *, at_s, **seen):
        """A change of state, with its event; the frame's age as such a camera would report it."""
        event = {"at_s": at_s, "state": state, "reason": reason}
        events = [*self.seen["events"], event]
        self.seen |= {"state": state, "reason": reason, "since_s": at_s, "events": events, **seen}


class FakeUploader:
    def __init__(self):
        self.running = True
        self.state = "running"
        self.stats = {"total_queued": 150, "total_uploaded": 145, "total_failed": 2, "queue_size": 3}
        self.oldest_waiting_s = 1.5
        self.servers = {}
        self.dead = []
        self.link("up", since_s=NOW_S - 60)

    def link(self, link, *, since_s, reason=None, hint=None, waiting=0, retry_in_s=None, held_back=None, health=None):
        self.servers[SERVER] = {
            "link": link,
            "since_s": since_s,
            "reason": reason,
            "hint": hint,
            "waiting": waiting,
            "in_flight": 0,
            "retry_in_s": retry_in_s,
            "held_back": held_back,
            "health": health,
        }

    def get_stats(self):
        return dict(self.stats)

    def get_details(self):
        return {
            "running": self.running,
            "state": self.state,
            "stats": dict(self.stats),
            "oldest_waiting_s": self.oldest_waiting_s,
            "servers": {name: dict(server) for name, server in self.servers.items()},
            "dead": list(self.dead),
            "last_error": None,
        }


class FakeLine:
    """Cameras that come and go, one uploader, one health, and the application that shows them."""

    def __init__(self, *names, period_s=0.01, wall=lambda: NOW_S, own_names=(), **live_options):
        self.cameras = [FakeCamera(name, since_s=wall() - 600) for name in names or ("line-1",)]
        self.uploader = FakeUploader()
        self.health = {
            "ready": True,
            "state": "ready",
            "severity": "working",
            "sentence": "Iris works: 3 files on the way.",
            "reasons": [],
            "since_s": NOW_S,
            "looked_age_s": 0.1,
            "disk_free_bytes": 5_000_000_000,
        }
        self.records = {
            "kept_files": 0,
            "kept_bytes": 0,
            "removed_files": 0,
            "removed_bytes": 0,
            "last_removed": None,
        }
        self.snapshot = whole_snapshot(
            cameras=lambda: self.cameras,
            uploader=self.uploader,
            health=lambda: self.health,
            version="0.1.0",
            records=lambda: self.records,
            wall=wall,
        )
        self.live = SocketManager(self.take_snapshot, period_s=period_s, **live_options)
        self.app = create_app(
            snapshot=self.take_snapshot,
            health=lambda: self.health,
            pictures=self.pictures,
            live=self.live,
            routers=[stats_router(self.uploader)],
            own_names=own_names,
        )

    @property
    def camera(self):
        """The first; most tests have one."""
        return self.cameras[0]

    def take_snapshot(self):
        return self.snapshot()

    def pictures(self):
        return {camera.name: camera.latest_picture for camera in self.cameras}


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def belt(width=640, height=360):
    """A grey belt with a bright part on it."""
    image = np.full((height, width, 3), 70, np.uint8)
    image[height // 3 : 2 * height // 3, width // 3 : width // 2] = 190
    image.flags.writeable = False
    return image


def get(app, *paths, host="127.0.0.1:5000"):
    """The answers of the application, asked in one go and without a socket: one path, one answer; more, a list."""

    async def ask():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as client:
            return await asyncio.gather(*(client.get(path, headers={"Host": host}) for path in paths))

    answers = asyncio.run(ask())
    return answers[0] if len(paths) == 1 else answers
