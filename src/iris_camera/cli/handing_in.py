"""The intake of `iris send` and `iris watch`: this process's own uploader, or the process that owns the outbox.

One process owns an outbox. If that is `iris run`, files are handed to it through the control socket and it delivers
them; if there is no owner, this process opens the outbox and delivers. The caller sees no difference.

What goes wrong. The owner ends: the files that it accepted are in the outbox. Files are still accepted, for its next
start; `iris send`, which waits for delivery, takes the outbox over.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

from iris_camera.config import Config
from iris_camera.health.delivery import server_reasons
from iris_camera.health.facts import USUAL, LinkFacts
from iris_camera.health.gathering import link_facts
from iris_communication.admin.audit import Audit
from iris_communication.admin.outbox_control import OutboxControl
from iris_communication.errors import IrisError, OutboxInUse, Scope, scope_of
from iris_communication.item import OWED, Delivered, State
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

log = logging.getLogger(__name__)

ASKED_MAX = 50  # items whose state is read at a time
TAKE_OVER_S = 1.0  # between two checks whether the owner has ended
NEED_SOMEBODY = ("server needs a person", "server paused")
NO_HINDRANCE = ("server fails a check",)


@dataclass(frozen=True, slots=True)
class Link:
    """A server that cannot be delivered to at present."""

    server: str  # its key
    text: str
    waits_for_a_person: bool  # nothing is delivered until a person has changed something


class Followed(Protocol):
    """A receipt, as far as it is needed here."""

    @property
    def outcome(self) -> Delivered | IrisError | None: ...


class Intake(Protocol):
    """Accepts requests, and reports what became of them."""

    def hand_in(self, requests: Sequence[SftpUploadRequest]) -> Sequence[list[str] | IrisError]:
        """For each request the ids of its items, one per destination, or why it was refused."""

    def outcomes(self, ids: Iterable[str]) -> dict[str, Delivered | IrisError]:
        """The outcomes of those items that are settled."""

    def links(self) -> list[Link]:
        """Every server that cannot be delivered to at present, whether or not these files wait for it."""

    def close(self, timeout_s: float) -> None:
        """Finish uploads under way, at most so long. The rest stays queued."""


class OwnIntake:
    """An uploader of this process. With `deliver` False it only accepts files."""

    def __init__(self, config: Config, *, deliver: bool) -> None:
        self._uploader = SftpUploaderThread(
            config.outbox_dir,
            max_queue_size=config.outbox.max_queue_size,
            settings=config.delivery,
            limits=config.outbox.limits,
        )
        if deliver:
            self._uploader.start()
        else:
            self._uploader.open()
        self._receipts: dict[str, Followed] = {}
        self._keep_receipts = deliver

    def hand_in(self, requests: Sequence[SftpUploadRequest]) -> Sequence[list[str] | IrisError]:
        try:
            answers = self._uploader.submit_requests(requests)
        except IrisError as error:
            return [error] * len(requests)
        if self._keep_receipts:
            receipts = (receipt for answer in answers if not isinstance(answer, IrisError) for receipt in answer)
            self._receipts |= {receipt.id: receipt for receipt in receipts}
        return [answer if isinstance(answer, IrisError) else [receipt.id for receipt in answer] for answer in answers]

    def outcomes(self, ids: Iterable[str]) -> dict[str, Delivered | IrisError]:
        found: dict[str, Delivered | IrisError] = {}
        for each in ids:
            receipt = self._receipts.get(each)
            if receipt is not None and receipt.outcome is not None:
                found[each] = receipt.outcome
                del self._receipts[each]
        return found

    def links(self) -> list[Link]:
        servers = self._uploader.get_details()["servers"]
        return [link for key, facts in servers.items() if (link := _link(key, facts)) is not None]

    def close(self, timeout_s: float) -> None:
        self._uploader.close(timeout_s)


class OwnersIntake:
    """The process that owns the outbox. With `take_over` this process delivers once the owner has ended."""

    def __init__(self, config: Config, *, take_over: bool) -> None:
        self._config = config
        self._folder = config.outbox_dir
        self._take_over = take_over
        self._own: OwnIntake | None = None
        self._take_over_at_s = time.monotonic() + TAKE_OVER_S
        self._is_ownerless = False

    def hand_in(self, requests: Sequence[SftpUploadRequest]) -> Sequence[list[str] | IrisError]:
        if self._own is not None:
            return self._own.hand_in(requests)
        try:
            with OutboxControl(self._folder) as control:
                if control.owner_pid is None and not self._is_ownerless:
                    log.warning(
                        "no process is delivering from %s: the files wait until an uploader starts there", self._folder
                    )
                self._is_ownerless = control.owner_pid is None
                return control.accept(requests)
        except IrisError as error:
            return [error] * len(requests)

    def outcomes(self, ids: Iterable[str]) -> dict[str, Delivered | IrisError]:
        """Reads at most ASKED_MAX items a call; the caller asks again for those that are not settled yet."""
        self._take_it_over()
        found: dict[str, Delivered | IrisError] = {}
        audit = Audit(self._folder)
        for each in islice(ids, ASKED_MAX):
            with suppress(IrisError):  # another process is taking the outbox over
                if (outcome := _outcome(audit.story(each))) is not None:
                    found[each] = outcome
        return found

    def links(self) -> list[Link]:
        if self._own is not None:
            return self._own.links()
        with suppress(IrisError):
            return [_halted(facts) for facts in Audit(self._folder).halted()]
        return []

    def close(self, timeout_s: float) -> None:
        if self._own is not None:
            self._own.close(timeout_s)

    def _take_it_over(self) -> None:
        if not self._take_over or self._own is not None or time.monotonic() < self._take_over_at_s:
            return
        self._take_over_at_s = time.monotonic() + TAKE_OVER_S
        with suppress(IrisError):  # the owner is still there
            self._own = OwnIntake(self._config, deliver=True)


def open_intake(config: Config, *, deliver: bool, take_over: bool = False) -> Intake:
    """This process's own if the outbox has no owner, else the owner's. Raises IrisError if neither accepts files."""
    try:
        return OwnIntake(config, deliver=deliver)
    except OutboxInUse:
        with OutboxControl(config.outbox_dir):
            return OwnersIntake(config, take_over=take_over)


def _outcome(story: dict[str, Any]) -> Delivered | IrisError | None:
    """None while it is owed."""
    if State(story["state"]) in OWED:
        return None
    if (line := story["delivery"]) is not None:
        at_s = float(line["delivered_s"])
        return Delivered(line["final_path"], line["size_bytes"], line["sha256"], line["host_key"], at_s)
    error = story["error"] or {"message": f"it is {story['state']}: {story['reason'] or 'by its owner'}", "hint": ""}
    return IrisError(error["message"], hint=error["hint"])


def _halted(facts: dict[str, Any]) -> Link:
    """From a server state that the outbox's owner stored."""
    key, error = facts["server"], facts["error"] or {"message": "it does not answer", "hint": ""}
    known = LinkFacts(
        key, "down", time.time(), error["message"], 0, error["hint"], held=facts["held"], paused=facts["paused"]
    )
    if not known.held and not known.paused:
        what = not_sent_to(key, takes_nothing=scope_of(error.get("error", "")) is Scope.SERVER)
        return Link(key, f"{what}: {error['message']}; Iris tries again by itself", waits_for_a_person=False)
    return _from_health(known) or Link(key, error["message"], waits_for_a_person=True)


def _link(key: str, facts: dict[str, Any]) -> Link | None:
    """None where all is well."""
    known = link_facts(key, facts)
    if known.link == "down" and not known.held and not known.paused and not known.held_back:
        again_s = facts["retry_in_s"] or 0.0
        again = f"trying again in {again_s:.0f} s" if again_s >= 1 else "trying again"
        what = not_sent_to(key, takes_nothing=known.takes_nothing)
        return Link(key, f"{what}: {known.reason}; {again}", waits_for_a_person=False)
    return _from_health(known)


def not_sent_to(key: str, *, takes_nothing: bool) -> str:
    return f"{key} takes nothing" if takes_nothing else "the link is down"


def _from_health(known: LinkFacts) -> Link | None:
    """As health reports it, without the count of waiting files: it includes files of other commands."""
    reason = next(server_reasons(replace(known, waiting=0), time.time(), USUAL), None)
    if reason is None or reason.kind in NO_HINDRANCE:
        return None
    needs_somebody = reason.kind in NEED_SOMEBODY
    return Link(known.server, reason.text, waits_for_a_person=needs_somebody)
