"""Sends a number of files: hands them in, and follows each until it is settled.

The caller decides what to show of them and how long to wait.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from iris_camera.cli.destination import ChosenServers
from iris_camera.cli.files_to_send import FileToSend
from iris_camera.cli.handing_in import Intake, Link
from iris_communication.errors import InvalidRequest, IrisError
from iris_communication.item import Delivered

AT_ONCE = 256  # files handed in together


@dataclass(slots=True)
class Sent:
    """One file and what became of it, at each of its servers by the id of the item."""

    file: FileToSend
    outcomes: dict[str, Delivered | IrisError | None] = field(default_factory=dict)  # None: still owed
    refused: IrisError | None = None

    @property
    def is_settled(self) -> bool:
        return self.refused is not None or all(outcome is not None for outcome in self.outcomes.values())

    @property
    def is_delivered(self) -> bool:
        return self.refused is None and all(isinstance(outcome, Delivered) for outcome in self.outcomes.values())

    def records(self) -> list[dict[str, Any]]:
        """For programs: one object per item, or one that states why there is no item."""
        facts = {"file": str(self.file.path), "size_bytes": self.file.size_bytes}
        if self.refused is not None:
            return [{**facts, "id": None, "state": "refused", **_error(self.refused)}]
        return [{**facts, "id": item_id, **_outcome(outcome)} for item_id, outcome in self.outcomes.items()]


class Sending:
    def __init__(self, files: Sequence[FileToSend], destination: ChosenServers, intake: Intake) -> None:
        self._destination = destination
        self._intake = intake
        self._to_hand_in = deque(files)
        self._under_way: dict[str, Sent] = {}  # by item id; owed items only
        self._server_keys: dict[str, str] = {}  # of the same items
        self.files = len(files)
        self.size_bytes = sum(file.size_bytes for file in files)
        self.done: list[Sent] = []
        self.full: IrisError | None = None  # why the outbox accepts nothing at present

    @property
    def not_handed_in(self) -> list[FileToSend]:
        return list(self._to_hand_in)

    @property
    def owed(self) -> list[Sent]:
        return list({id(sent): sent for sent in self._under_way.values()}.values())

    @property
    def is_over(self) -> bool:
        return not self._to_hand_in and not self._under_way

    def hand_in(self) -> list[Sent]:
        """Hand in the next files, in order; those that a full outbox refuses are offered again at the next call.
        Returns the files that can never be accepted, each with its reason."""
        batch = [self._to_hand_in.popleft() for _ in range(min(AT_ONCE, len(self._to_hand_in)))]
        requests = [
            self._destination.request(each.path, project=each.project, folder=each.folder, identity=each.identity)
            for each in batch
        ]
        refused: list[FileToSend] = []
        never: list[Sent] = []
        self.full = None
        for file, answer in zip(batch, self._intake.hand_in(requests), strict=True):
            if isinstance(answer, InvalidRequest):
                never.append(Sent(file, refused=answer))
            elif isinstance(answer, IrisError):
                self.full = answer
                refused.append(file)
            else:
                sent = Sent(file, outcomes=dict.fromkeys(answer))
                self._under_way |= dict.fromkeys(answer, sent)
                self._server_keys |= dict(zip(answer, self._destination.server_keys, strict=True))
        self._to_hand_in.extendleft(reversed(refused))
        self.done += never
        return never

    def held_up_by(self) -> list[Link]:
        """The servers that these files wait for and that cannot be delivered to at present."""
        awaited = set(self._server_keys.values())
        return [link for link in self._intake.links() if link.server in awaited] if awaited else []

    def waits_for_a_person(self, links: Sequence[Link]) -> bool:
        """Whether no file will be delivered until a person acts, given the servers that hold them up."""
        held = {link.server for link in links if link.waits_for_a_person}
        return bool(held) and held >= set(self._server_keys.values())

    def follow(self) -> list[Sent]:
        """The files that were settled since the last call."""
        ended = []
        for item_id, outcome in self._intake.outcomes(list(self._under_way)).items():
            sent = self._under_way.pop(item_id)
            del self._server_keys[item_id]
            sent.outcomes[item_id] = outcome
            if sent.is_settled:
                ended.append(sent)
        self.done += ended
        return ended


def _outcome(outcome: Delivered | IrisError | None) -> dict[str, Any]:
    if outcome is None:
        return {"state": "queued"}
    if isinstance(outcome, IrisError):
        return {"state": "failed", **_error(outcome)}
    return {
        "state": "delivered",
        "final_path": outcome.final_path,
        "size_bytes": outcome.size_bytes,
        "sha256": outcome.sha256,
    }


def _error(error: IrisError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error), "hint": error.hint}
