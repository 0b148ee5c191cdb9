"""The protocol of the control socket: one JSON object on one line, one line back.

    {"protocol": 1, "errand": "retry", "ids": ["019abc"]}         -> {"done": {"019abc": ""}}
    {"protocol": 1, "errand": "pause", "server": "line@host:22"}  -> {"done": {}}
    whatever goes wrong                                           -> {"error": "OutboxFull", "message": "", "hint": ""}

Idea. The owner carries out a request with the same methods that a program in its own process would call, so there is
one way and not two. For each id the answer has an empty text, or why that one was left as it is.

What goes wrong. A line that is no request, or of another protocol, is answered with an error and changes nothing.
Limits are checked before the outbox is asked: one request never keeps the outbox's thread for long.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from iris_communication import errors
from iris_communication.errors import InvalidRequest, IrisError
from iris_communication.outbox.orders import ORDERS, Order
from iris_communication.runtime.amounts import counted
from iris_communication.upload_request import SftpUploadRequest

log = logging.getLogger(__name__)

PROTOCOL = 1
VERB, REFUSED = "errand", "ErrandRefused"  # words on the socket: other versions know them, so they stay as they are
IDS_MAX = 500  # in one request
FILES_MAX = 32
WORD_MAX = 512  # characters of an id, a server's key, a reason
LINE_BYTES_MAX = 256 * 1024  # of a request or an answer: IDS_MAX ids, each with a sentence, are far below


class AcceptedFile(Protocol):
    """One file for one destination; a receipt is one."""

    @property
    def id(self) -> str: ...


class ControlledOutbox(Protocol):
    """An uploader is one. Each raises IrisError when the outbox cannot be written to."""

    def execute(self, order: Order) -> dict[str, str]: ...

    def submit_requests(
        self, requests: Sequence[SftpUploadRequest]
    ) -> Sequence[Sequence[AcceptedFile] | IrisError]: ...


class ControlRequestRefused(InvalidRequest):
    """A line that is no request of this protocol."""

    default_hint = "use the `iris` of the version that runs the uploader"


def answer_to(line: bytes, outbox: ControlledOutbox) -> bytes:
    """Carry out one request; its answer, with the end of its line. Never raises: what went wrong is the answer."""
    try:
        answer = _carried_out(_request(line), outbox)
    except IrisError as error:
        answer = _refusal(error)
    except Exception as error:
        log.exception("a request on the control socket failed")
        answer = {"error": "IrisError", "message": f"it failed: {error!r}", "hint": "see the uploader's log"}
    return json.dumps(answer).encode() + b"\n"


def request_line(verb: str, **facts: Any) -> bytes:
    return json.dumps({"protocol": PROTOCOL, VERB: verb, **facts}).encode() + b"\n"


def facts_of(order: Order) -> dict[str, Any]:
    """The fields of an order for a request, without those that have their default."""
    return {each.name: value for each in fields(order) if (value := getattr(order, each.name)) != each.default}


def answered(line: bytes) -> dict[str, Any]:
    """The content of an answer. Raises the error in it, and ValueError or TypeError for a line that is no answer."""
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise TypeError("its answer is not a JSON object")
    if "error" in answer:
        raise error_of(answer)
    return answer


def error_of(facts: Mapping[str, Any]) -> IrisError:
    """The error that an answer holds; an IrisError if its kind is not known here."""
    name = str(facts["error"])
    kind = ControlRequestRefused if name == REFUSED else getattr(errors, name, IrisError)
    if not (isinstance(kind, type) and issubclass(kind, IrisError)):
        kind = IrisError
    return kind(str(facts.get("message", "")), hint=str(facts.get("hint", "")))


def _refusal(error: IrisError) -> dict[str, Any]:
    name = REFUSED if isinstance(error, ControlRequestRefused) else type(error).__name__
    return {"error": name, "message": str(error), "hint": error.hint}


def _request(line: bytes) -> Mapping[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlRequestRefused("expected one line of JSON") from None
    if not isinstance(facts, dict):
        raise ControlRequestRefused("expected a JSON object")
    if facts.get("protocol") != PROTOCOL:
        raise ControlRequestRefused(f"this outbox speaks protocol {PROTOCOL}, not {_shown(facts.get('protocol'))}")
    return facts


def _carried_out(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    verb = facts.get(VERB)
    if verb == "hello":
        return {"protocol": PROTOCOL, "pid": os.getpid()}
    done = _accept(facts, outbox) if verb == "accept" else outbox.execute(_order(verb, facts))
    which = facts.get("server") or counted(len(facts.get("ids", facts.get("files", ()))), "item")
    log.info("control socket: %s of %s", verb, which)
    return {"done": done}


def _accept(facts: Mapping[str, Any], outbox: ControlledOutbox) -> list[Any]:
    files = facts.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= FILES_MAX:
        raise ControlRequestRefused(f"files: expected 1 to {FILES_MAX}")
    outcomes = outbox.submit_requests([_upload_request(each) for each in files])
    return [_refusal(each) if isinstance(each, IrisError) else [one.id for one in each] for each in outcomes]


def _upload_request(facts: Any) -> SftpUploadRequest:
    try:
        return SftpUploadRequest(**facts)
    except TypeError as error:
        raise ControlRequestRefused(f"files: not an upload request: {error}") from None


def _order(verb: Any, facts: Mapping[str, Any]) -> Order:
    kind = ORDERS.get(verb) if isinstance(verb, str) else None
    if kind is None:
        raise ControlRequestRefused(f"unknown request {_shown(verb)}: expected hello, accept, {', '.join(ORDERS)}")
    given: dict[str, Any] = {each.name: facts[each.name] for each in fields(kind) if each.name in facts}
    for each in fields(kind):
        is_fit, expected = _EXPECTED[each.type]
        if not is_fit(given.get(each.name, each.default)):
            raise ControlRequestRefused(f"{each.name}: expected {expected}")
    return kind(**given)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= IDS_MAX and all(map(_is_word, value))


def _is_word(value: Any) -> bool:
    """A text that can be stored: a half of a surrogate pair cannot."""
    if not isinstance(value, str) or not 0 < len(value) <= WORD_MAX:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# By the type of an order's field: whether a request's value fits it, and what would.
_EXPECTED: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    Sequence[str]: (_are_ids, f"1 to {IDS_MAX} ids"),
    str: (_is_word, f"1 to {WORD_MAX} characters"),
    int: (lambda value: type(value) is int, "a whole number"),
}


def _shown(value: Any) -> str:
    return repr(value)[:40]
