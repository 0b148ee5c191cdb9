"""Facts of a line on which all is well, and of parts that are not."""

from dataclasses import replace

from iris_camera.health.facts import (
    Around,
    CameraFacts,
    DiskFacts,
    Facts,
    FolderFacts,
    LinkFacts,
)
from iris_camera.health.judging import judge

NOW_S = 1_700_000_000.0
MIB = 1024**2
SERVER = "iris@10.0.0.7:22"
WELL = Facts(
    cameras=(CameraFacts("line-1", frame_age_s=0.04),),
    uploader_running=True,
    uploader_state="running",
    uploader_error=None,
    links=(LinkFacts(SERVER, "up", NOW_S - 60, None, 0),),
    waiting=0,
    oldest_waiting_s=None,
    dead=0,
    disk=DiskFacts(FolderFacts(50_000 * MIB), FolderFacts(50_000 * MIB)),
)
DOWN = LinkFacts(SERVER, "down", NOW_S - 42, "connection refused", 14)
OFFLINE = CameraFacts("line-2", "offline", "the camera refuses the password", since_s=NOW_S - 180)


def with_cameras(*cameras):
    return judge(replace(WELL, cameras=cameras), NOW_S)


def working(*names):
    return tuple(CameraFacts(name, frame_age_s=0.04) for name in names)


def around(**facts):
    return replace(WELL, around=Around(records_folder="/var/records", **facts))
