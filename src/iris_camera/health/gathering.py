"""From the snapshots of cameras, uploader and application to the facts that `judging` takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iris_camera.health.cameras import lost
from iris_camera.health.conditions import Reason
from iris_camera.health.facts import (
    Around,
    CameraFacts,
    DiskFacts,
    Facts,
    LinkFacts,
    LongLog,
    OutboxTrouble,
    ThreadFacts,
)

Lately = Callable[[str], int]  # how much a counter of `counts_in` rose lately


def counts_in(cameras: Sequence[Mapping[str, Any]], threads: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Every counter that is judged by its recent increase."""
    counts = {f"thread {thread['name']}": thread["restarts"] for thread in threads}
    for seen in cameras:
        name = seen["name"]
        counts[f"restarts {name}"] = (seen.get("inspection") or {}).get("restarts", 0)
        counts[f"frames {name}"] = seen.get("frames", 0)
        counts[f"skipped {name}"] = seen.get("skipped", 0)
        counts[f"errors {name}"] = _other_errors(seen)
    return counts


def _other_errors(seen: Mapping[str, Any]) -> int:
    """The errors that are counted neither as restarts of the inspection nor as errors of the records."""
    restarts: int = (seen.get("inspection") or {}).get("restarts", 0)
    of_records: int = (seen.get("records") or {}).get("errors", 0)
    errors: int = seen.get("errors", 0)
    return max(0, errors - restarts - of_records)


def gather(
    cameras: Sequence[Mapping[str, Any]], uploader: Mapping[str, Any], disk: DiskFacts, around: Around, lately: Lately
) -> Facts:
    """From the snapshots of the cameras and the details of the uploader."""
    servers: Mapping[str, Mapping[str, Any]] = uploader["servers"]
    stats = uploader["stats"]
    return Facts(
        cameras=tuple(_camera_facts(seen, lately) for seen in cameras),
        uploader_running=bool(uploader["running"]),
        uploader_state=str(uploader["state"]),
        uploader_error=uploader.get("last_error"),
        links=tuple(link_facts(name, server) for name, server in servers.items()),
        waiting=stats["queue_size"],
        oldest_waiting_s=uploader["oldest_waiting_s"],
        dead=uploader.get("dead_files", len(uploader["dead"])),
        undelivered=stats.get("total_failed", 0),
        refusing=_refusing(uploader.get("refusing")),
        long_log=_long_log(uploader),
        disk=disk,
        around=around,
    )


def losses(camera: Mapping[str, Any]) -> list[Reason]:
    """The rows and evidence that a camera could not write, by its snapshot."""
    return list(lost(_camera_facts(camera, lambda counter: 0)))


def thread_facts(threads: Sequence[Mapping[str, Any]], lately: Lately) -> tuple[ThreadFacts, ...]:
    return tuple(
        ThreadFacts(thread["name"], thread["running"], thread["reason"], lately(f"thread {thread['name']}"))
        for thread in threads
    )


def link_facts(name: str, server: Mapping[str, Any]) -> LinkFacts:
    """Of one server in the uploader's details; keys may be missing."""
    refusal = server.get("refusal") or {}
    check = server.get("health") or {}
    return LinkFacts(
        server=name,
        link=server["link"],
        since_s=server["since_s"],
        reason=server["reason"],
        waiting=server["waiting"],
        hint=server.get("hint"),
        held=server.get("held", False),
        takes_nothing=server.get("takes_nothing", False),
        paused=server.get("paused", False),
        held_back=server.get("held_back"),
        refused=server.get("refused", 0),
        refusal=refusal.get("message"),
        refusal_hint=refusal.get("hint"),
        refused_in_a_row=refusal.get("new_in_a_row", 0),
        check=check.get("words") or None,
        check_hint=check.get("hint"),
    )


def _long_log(uploader: Mapping[str, Any]) -> LongLog | None:
    readers = uploader.get("log_readers")
    return None if readers is None else LongLog(uploader["log_bytes"], tuple(readers))


def _refusing(trouble: Mapping[str, Any] | None) -> OutboxTrouble | None:
    if trouble is None:
        return None
    return OutboxTrouble(trouble["message"], trouble["hint"], is_full=trouble["is_full"])


def _camera_facts(seen: Mapping[str, Any], lately: Lately) -> CameraFacts:
    """Keys of a camera's snapshot may be missing: the reason, its inspection, its records."""
    inspection = seen.get("inspection") or {}
    records = seen.get("records") or {}
    name = seen["name"]
    return CameraFacts(
        name=name,
        state=seen["state"],
        reason=seen.get("reason"),
        since_s=seen.get("since_s"),
        frame_age_s=seen["frame_age_s"],
        captured_age_s=seen.get("captured_age_s"),
        frame_rate=seen.get("frame_rate"),
        live=seen.get("live", True),
        inspection=inspection.get("state", "running"),
        inspection_reason=inspection.get("reason"),
        restarts_lately=lately(f"restarts {name}"),
        opening=seen.get("opening", False),
        ended=seen.get("ended", False) and seen["state"] == "disabled",
        frames_lately=lately(f"frames {name}"),
        skipped_lately=lately(f"skipped {name}"),
        rows_lost=records.get("rows_lost", 0),
        records_trouble=records.get("trouble"),
        losing_rows=records.get("losing_rows", False),
        evidence_skipped=seen.get("evidence_skipped", 0),
        evidence_trouble=seen.get("evidence_trouble"),
        errors_lately=lately(f"errors {name}"),
        error=seen.get("error"),
        not_kept=seen.get("not_kept"),
    )
