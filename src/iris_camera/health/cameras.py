"""The reasons that concern cameras, their inspection, and their records.

A reason names its camera and the cause; another one says how many cameras work, because one failed camera of twelve
differs from all failed. An intended state (a camera disabled, a film that came to its end) is a remark, no warning,
unless all cameras are disabled.

What goes wrong: a camera whose threads hang reports "online" for ever, so the age of its picture counts as well; for a
source whose pictures come irregularly (a folder), the age means nothing and is not used.
"""

from collections.abc import Iterator, Sequence

from iris_camera.health.conditions import Reason, Severity
from iris_camera.health.facts import CameraFacts, HealthLimits
from iris_camera.health.sentences import age, age_text, because
from iris_communication.runtime.amounts import counted

GRAVE = (Severity.FAILED,)


def camera_reasons(cameras: Sequence[CameraFacts], now_s: float, limits: HealthLimits) -> list[Reason]:
    if not cameras:
        return [Reason("no camera", "", "there is no camera to inspect")]
    reasons = [reason for camera in cameras for reason in _written(camera, limits)]
    off = [camera for camera in cameras if camera.state == "disabled"]
    if len(off) == len(cameras):
        return [*reasons, _all_off(off)]
    troubles = {camera: list(_troubles(camera, now_s, limits)) for camera in cameras if camera not in off}
    at_work = sum(not any(found.severity in GRAVE for found in troubles[camera]) for camera in troubles)
    if at_work < len(troubles) > 1:
        text = f"{at_work or 'none'} of {len(troubles)} cameras {'works' if at_work <= 1 else 'work'}"
        reasons.insert(0, Reason("cameras at work", "", text))
    reasons += [reason for found in troubles.values() for reason in found]
    return reasons + [Reason("camera disabled", camera.name, _is_off(camera)) for camera in off]


def _all_off(off: Sequence[CameraFacts]) -> Reason:
    if all(camera.ended for camera in off):
        sources = "the source" if len(off) == 1 else f"all {len(off)} sources"
        return Reason("sources ended", "", f"{sources} came to {'its' if len(off) == 1 else 'their'} end")
    if len(off) == 1:
        return Reason("cameras disabled", "", f"{_is_off(off[0])} and nothing is inspected")
    reasons = {camera.reason for camera in off}
    shared = reasons.pop() if len(reasons) == 1 else None
    return Reason(
        "cameras disabled", "", f"all {len(off)} cameras are disabled{because(shared)} and nothing is inspected"
    )


def _is_off(camera: CameraFacts) -> str:
    if camera.ended:
        return f"camera {camera.name} has come to its end"
    return f"camera {camera.name} is disabled{because(camera.reason)}"


def _troubles(camera: CameraFacts, now_s: float, limits: HealthLimits) -> Iterator[Reason]:
    found = (_no_picture(camera, now_s, limits), _no_inspection(camera, now_s, limits), _skipped(camera, now_s, limits))
    for kind, text in filter(None, found):
        yield Reason(kind, camera.name, f"camera {camera.name} {text}")


def _no_picture(camera: CameraFacts, now_s: float, limits: HealthLimits) -> tuple[str, str] | None:
    why, state_s = because(camera.reason), _state_s(camera, now_s)
    began = camera.frame_age_s is None and camera.since_s is not None and state_s < limits.starting_s
    if began and (camera.opening or camera.state == "online") and camera.inspection != "restarting":
        return "camera starting", "is being opened"
    age_s = camera.frame_age_s if camera.captured_age_s is None else camera.captured_age_s
    if camera.state == "offline" and not camera.opening:
        since = "is offline" if camera.since_s is None else f"has been offline for {age(now_s, camera.since_s)}"
        return "camera offline", f"{since}{why}"
    if camera.state == "stalled":
        return "camera stalled", f"has given no new picture for {age_text(state_s if age_s is None else age_s)}{why}"
    if age_s is None:
        kind = "camera without picture" if camera.live or camera.opening else "folder without picture"
        return kind, f"has given no picture yet{why}"
    # The reported state is not enough: the camera's threads may hang with the state still "online".
    limit_s = _stalled_after_s(camera, limits)
    if limit_s is not None and age_s > limit_s:
        return "camera stalled", f"has given no new picture for {age_text(age_s)}{why}"
    return None


def _state_s(camera: CameraFacts, now_s: float) -> float:
    return 0.0 if camera.since_s is None else max(0.0, now_s - camera.since_s)


def _stalled_after_s(camera: CameraFacts, limits: HealthLimits) -> float | None:
    """None for a source whose pictures come irregularly."""
    if camera.frame_rate:
        return max(limits.stalled_after_s, limits.stalled_after_frames / camera.frame_rate)
    return limits.stalled_after_s if camera.live else None


def _no_inspection(camera: CameraFacts, now_s: float, limits: HealthLimits) -> tuple[str, str] | None:
    why = because(camera.inspection_reason)
    if camera.inspection == "stopped":
        return "inspection stopped", f"is not inspected: its inspection has stopped{why}"
    if camera.restarts_lately >= limits.restarts_lately:
        restarts = f"{counted(camera.restarts_lately, 'time')} in {age_text(limits.lately_s)}"
        text = f"is not inspected reliably: its inspection restarted {restarts}"
        return "inspection failing", f"{text}{why}"
    if (behind_s := _behind_s(camera, now_s)) > limits.starting_s:
        return (
            "inspection failing",
            f"is not inspected: no picture of it has been looked at for {age_text(behind_s)}{why}",
        )
    if camera.inspection == "restarting":
        return "inspection restarting", f"restarts its inspection{why}"
    return None


def _behind_s(camera: CameraFacts, now_s: float) -> float:
    """How much older the latest inspected picture is than the latest captured one."""
    if camera.captured_age_s is None or camera.state != "online":
        return 0.0
    inspected_s = _state_s(camera, now_s) if camera.frame_age_s is None else camera.frame_age_s
    return inspected_s - camera.captured_age_s


def _skipped(camera: CameraFacts, now_s: float, limits: HealthLimits) -> tuple[str, str] | None:
    """A live line may skip a frame now and then; more than `skipped_share` of them is a reason."""
    seen = camera.frames_lately + camera.skipped_lately
    if camera.since_s is not None and now_s - camera.since_s < limits.settled_after_s:
        return None
    if not camera.live or camera.skipped_lately <= limits.skipped_share * seen:
        return None
    were = "was" if camera.skipped_lately == 1 else "were"
    of_all = f"{camera.skipped_lately} of its {counted(seen, 'frame')} {were} not inspected"
    return "frames skipped", f"is faster than its inspection: {of_all} in {age_text(limits.lately_s)}"


def _written(camera: CameraFacts, limits: HealthLimits) -> Iterator[Reason]:
    """The reasons of its records and evidence; also of a camera that is disabled by now."""
    yield from lost(camera)
    if camera.not_kept:
        yield Reason("records not kept", camera.name, f"camera {camera.name}: {camera.not_kept}")
    if camera.errors_lately:
        errors = counted(camera.errors_lately, "error")
        text = f"camera {camera.name} had {errors} in {age_text(limits.lately_s)}{because(camera.error)}"
        yield Reason("errors", camera.name, text)


def lost(camera: CameraFacts) -> Iterator[Reason]:
    """The rows and evidence that it could not write."""
    rows = counted(camera.rows_lost, "row")
    if camera.records_trouble and camera.losing_rows:
        text = f"camera {camera.name} loses what it sees, {rows} so far: {camera.records_trouble}"
        yield Reason("rows lost now", camera.name, text)
    else:
        if camera.records_trouble:
            yield Reason("records not finished", camera.name, camera.records_trouble)
        if camera.rows_lost:
            yield Reason("rows lost", camera.name, f"camera {camera.name} has lost {rows} since the start")
    if camera.evidence_skipped:
        defects = counted(camera.evidence_skipped, "defect has", "defects have")
        text = f"camera {camera.name}: {defects} no pictures since the start{because(camera.evidence_trouble)}"
        yield Reason("evidence skipped", camera.name, text)
