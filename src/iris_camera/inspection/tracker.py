"""Which detections of successive frames show the same part: each part gets one id, and is reported as finished once.

A track predicts where its part is now from its own motion (a new part's: that of the others, they share the belt) and
takes the nearest detection. Three things go wrong in the field, and each has its rule:
- Frames are skipped, so motion is measured and predicted per frame number, not per call.
- A part at the picture's edge shows only a piece, whose middle moves at half the pace: only edges that are not cut
  off are compared.
- A detector misses a frame or finds something that is not there: a track survives `missed_max` calls without a
  detection, and a part is judged or reported as gone only when it was seen twice.

A part is judged as soon as it is wholly in the picture with some room round it, because its surroundings show where it
ends; one that never gets that room, near the upper or lower edge, when it was seen whole three times. One that is never
whole, like a person who fills the picture, is judged when it was seen ten times, if pieces may be judged
(`judges_cut_off`); a classifier may not, because it would take a piece for a broken part.

A detector that distinguishes kinds may alternate between them: a detection takes a track of its own label first, and
one of another label only where it overlaps the predicted place, so the part keeps its id and shows the latest label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from iris_camera.inspection.findings import Box, Detection, Part

Motion = tuple[float, float]

_EDGE = 6.0
"""A box this near the picture's edge, in pixels, may be cut off there: detectors are a few pixels out."""
_REACH = 0.6
"""How far from the predicted place a detection may be, as a share of the part's longer side."""
_SEEN_MIN = 2
"""Detections before a track is believed."""
_ROOM = 0.35
"""How much wider and higher than the part its surroundings are that have to be in the picture too."""
_WHOLE_MIN = 3
"""Detections of the whole part after which it is judged without that room."""
_CUT_OFF_MIN = 10
"""Detections of a part after which it is judged though cut off, if `judges_cut_off`."""
_SAME_PLACE = 0.5
"""Intersection over union from where on a detection of another label shows the same part."""
_INERTIA = 0.6
"""How much of a track's motion is kept when it is measured again."""


class Tracked(NamedTuple):
    """The result of one frame's detections.

    `parts`: every detection with its part's id. `ready`: those to be judged now, each part once, wholly in
    the picture; `again`: those that were ready before, and may be judged on this frame as well. `finished`: parts that
    left the picture or were lost, as they were last seen, each once.
    """

    parts: list[Part]
    ready: list[Part]
    finished: list[Part]
    again: list[Part]


@dataclass(frozen=True, slots=True)
class _Track:
    part: Part
    motion: Motion | None  # pixels a frame; None: not measured yet
    number: int  # of the frame it was last seen in
    seen: int = 1
    whole: int = 0
    missed: int = 0
    judged: bool = False
    had_room: bool = False  # when it was judged first

    @property
    def believed(self) -> bool:
        return self.seen >= _SEEN_MIN


class Tracker:
    """The parts in pictures of `width` by `height` pixels; part ids count from `first_id`."""

    def __init__(
        self, width: int, height: int, *, missed_max: int = 12, first_id: int = 1, judges_cut_off: bool = False
    ) -> None:
        self._width, self._height, self._missed_max = width, height, missed_max
        self._judges_cut_off = judges_cut_off
        self._tracks: tuple[_Track, ...] = ()
        self._common_motion: Motion = (0.0, 0.0)
        self._number = -1
        self._next_id = first_id

    @property
    def next_id(self) -> int:
        """The id that the next new part gets."""
        return self._next_id

    def update(self, detections: Sequence[Detection], number: int | None = None) -> Tracked:
        """Take the detections of frame `number` (None: the one after the last).

        A number that is not above the last one means that the source began anew: all parts are finished.
        """
        number = self._number + 1 if number is None else number
        restarted = number <= self._number
        gone = self._tracks if restarted else ()
        known = () if restarted else self._tracks
        self._number = number
        matches = self._matches(known, detections, number)
        taken = set(matches.values())
        current = [self._seen_again(known[track], detections[found], number) for track, found in matches.items()]
        current += [self._new(each, number) for index, each in enumerate(detections) if index not in taken]
        ready = [track for track in current if not track.judged and self._is_fit(track)]
        again = [track.part for track in current if track.judged and self._is_fit_again(track)]
        current = [
            replace(track, judged=True, had_room=self._has_room(track)) if track in ready else track
            for track in current
        ]
        missed = [replace(t, missed=t.missed + 1) for index, t in enumerate(known) if index not in matches]
        lost = [track for track in missed if self._is_gone(track, number)]
        self._tracks = (*current, *(track for track in missed if track not in lost))
        self._common_motion = _common(self._tracks, self._common_motion)
        finished = [track.part for track in (*gone, *lost) if track.believed]
        return Tracked([track.part for track in current], [track.part for track in ready], finished, again)

    def _matches(self, tracks: tuple[_Track, ...], detections: Sequence[Detection], number: int) -> dict[int, int]:
        """Track to detection by label and position, the best fitting pair first, none used twice."""
        pairs = []
        for row, track in enumerate(tracks):
            predicted = self._predicted(track, number)
            for column, detection in enumerate(detections):
                box = detection.box
                longer_side = max(track.part.box.width, track.part.box.height, box.width, box.height)
                distance = math.hypot(*self._displacement(track.part.box, predicted, box))
                relabelled = detection.label != track.part.label
                if distance <= _REACH * longer_side and not (relabelled and predicted.iou(box) < _SAME_PLACE):
                    pairs.append((relabelled, distance / longer_side, row, column))
        matches: dict[int, int] = {}
        used: set[int] = set()
        for _, _, row, column in sorted(pairs):
            if row not in matches and column not in used:
                matches[row] = column
                used.add(column)
        return matches

    def _predicted(self, track: _Track, number: int) -> Box:
        x, y = self._common_motion if track.motion is None else track.motion
        frames = number - track.number
        return track.part.box.shifted(x * frames, y * frames)

    def _displacement(self, seen: Box, place: Box, found: Box) -> Motion:
        """How far `found` is from `place`, by the edges that are cut off neither in `seen` nor in `found`."""
        return (
            _between(self._width, (seen.x, seen.right), (place.x, place.right), (found.x, found.right)),
            _between(self._height, (seen.y, seen.bottom), (place.y, place.bottom), (found.y, found.bottom)),
        )

    def _new(self, detection: Detection, number: int) -> _Track:
        part = Part(self._next_id, detection.box, detection.score, detection.label)
        self._next_id += 1
        return _Track(part, None, number, whole=int(self._is_whole(part.box)))

    def _seen_again(self, track: _Track, detection: Detection, number: int) -> _Track:
        frames = number - track.number
        box = track.part.box
        x, y = self._displacement(box, box, detection.box)
        measured = (x / frames, y / frames)
        return replace(
            track,
            part=Part(track.part.part_id, detection.box, detection.score, detection.label),
            motion=measured if track.motion is None else _blended(track.motion, measured),
            number=number,
            seen=track.seen + 1,
            whole=track.whole + int(self._is_whole(detection.box)),
            missed=0,
        )

    def _is_whole(self, box: Box) -> bool:
        return box.within(self._width, self._height, _EDGE)

    def _is_fit(self, track: _Track) -> bool:
        """Whether it shows enough to be judged by."""
        if not track.believed:
            return False
        if not self._is_whole(track.part.box):
            return self._judges_cut_off and track.seen >= _CUT_OFF_MIN
        return track.whole >= _WHOLE_MIN or self._has_room(track)

    def _is_fit_again(self, track: _Track) -> bool:
        """Whether it shows as much as when it was judged first: near the edge it has less room, and a verdict is worth
        less."""
        return self._has_room(track) if track.had_room else self._is_fit(track)

    def _has_room(self, track: _Track) -> bool:
        return track.part.box.grown(_ROOM).within(self._width, self._height)

    def _is_gone(self, track: _Track, number: int) -> bool:
        place = self._predicted(track, number)
        inside = (
            place.x < self._width - _EDGE
            and place.right > _EDGE
            and place.y < self._height - _EDGE
            and place.bottom > _EDGE
        )
        return not inside or track.missed > self._missed_max


def _between(limit: int, seen: Motion, place: Motion, found: Motion) -> float:
    """The distance along one axis; the distance of the middles when both ends are cut off."""
    low = found[0] - place[0] if min(seen[0], found[0]) > _EDGE else None
    high = found[1] - place[1] if max(seen[1], found[1]) < limit - _EDGE else None
    if low is not None and high is not None:
        return (low + high) / 2
    if low is not None:
        return low
    if high is not None:
        return high
    return (sum(found) - sum(place)) / 2


def _blended(old: Motion, measured: Motion) -> Motion:
    return (_INERTIA * old[0] + (1 - _INERTIA) * measured[0], _INERTIA * old[1] + (1 - _INERTIA) * measured[1])


def _common(tracks: Sequence[_Track], before: Motion) -> Motion:
    """The median motion of the parts in view, or the one before when none is measured."""
    motions = [track.motion for track in tracks if track.motion is not None]
    if not motions:
        return before
    return median(motion[0] for motion in motions), median(motion[1] for motion in motions)
