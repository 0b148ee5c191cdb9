"""What may be asked of an outbox through its door: one JSON object on one line, one line back.

    {"protocol": 1, "errand": "retry", "ids": ["019abc"]}         -> {"done": {"019abc": ""}}
    {"protocol": 1, "errand": "pause", "server": "line@host:22"}  -> {"done": {}}
    whatever goes wrong                                           -> {"error": "OutboxFull", "message": "", "hint": ""}

Idea. The owner runs an errand with the same methods a program in its own process would call, so there is one way of
keeping house and not two. For each id the answer has an empty text, or why that one was left as it is.

What goes wrong. A line that is no errand, or of another protocol, is answered with an error and changes nothing. Bounds
are held before anything is asked of the house: one errand never keeps the outbox's thread for long.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from iris_communication import errors
from iris_communication.errors import InvalidRequest, IrisError
from iris_communication.runtime.amounts import counted
from iris_communication.upload_request import SftpUploadRequest

log = logging.getLogger(__name__)

PROTOCOL = 1
IDS_MAX = 500  # in one errand
FILES_MAX = 32
WORD_MAX = 512  # characters of an id or a server's key
LINE_BYTES_MAX = 256 * 1024  # of an errand or an answer: IDS_MAX ids, each with a sentence, are far below


class AcceptedFile(Protocol):
    """Of one file and one destination; a receipt is one."""

    @property
    def id(self) -> str: ...


class ControlledOutbox(Protocol):
    """Whoever can keep house in an outbox; an uploader is one. A text for each id: empty when it is done, else why
    not. Each raises IrisError when the outbox cannot be written to."""

    def retry(self, ids: Sequence[str]) -> dict[str, str]: ...

    def drop(self, ids: Sequence[str]) -> dict[str, str]: ...

    def set_priority(self, ids: Sequence[str], priority: int) -> dict[str, str]: ...

    def submit_many(self, requests: Sequence[SftpUploadRequest]) -> Sequence[Sequence[AcceptedFile] | IrisError]: ...

    def pause(self, server_key: str) -> object: ...

    def resume(self, server_key: str) -> object: ...


class ErrandRefused(InvalidRequest):
    """A line that is no errand of this protocol."""

    default_hint = "use the program `iris` of the same version as the one that runs the uploader"


def answer_to(line: bytes, house: ControlledOutbox) -> bytes:
    """Run one errand; its answer, with the end of its line. Never raises: what went wrong is the answer."""
    try:
        told = _run(_errand(line), house)
    except IrisError as error:
        told = _refusal(error)
    except Exception as error:
        log.exception("an errand that came through the outbox's socket failed")
        told = {"error": "IrisError", "message": f"it failed: {error!r}", "hint": "see the uploader's log"}
    return json.dumps(told).encode() + b"\n"


def errand_line(errand: str, **facts: Any) -> bytes:
    return json.dumps({"protocol": PROTOCOL, "errand": errand, **facts}).encode() + b"\n"


def answered(line: bytes) -> dict[str, Any]:
    """What an answer says. Raises the error it tells of, and ValueError or TypeError for a line that is no answer."""
    told = json.loads(line)
    if not isinstance(told, dict):
        raise TypeError("its answer is no JSON object")
    if "error" in told:
        raise error_of(told)
    return told


def error_of(told: Mapping[str, Any]) -> IrisError:
    """An error as it was before it was put into an answer; of a kind that is not known here, plain."""
    name = str(told["error"])
    kind = ErrandRefused if name == ErrandRefused.__name__ else getattr(errors, name, IrisError)
    if not (isinstance(kind, type) and issubclass(kind, IrisError)):
        kind = IrisError
    return kind(str(told.get("message", "")), hint=str(told.get("hint", "")))


def _refusal(error: IrisError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error), "hint": error.hint}


def _errand(line: bytes) -> Mapping[str, Any]:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        raise ErrandRefused("expected one line of JSON") from None
    if not isinstance(facts, dict):
        raise ErrandRefused("expected a JSON object")
    if facts.get("protocol") != PROTOCOL:
        raise ErrandRefused(f"this outbox speaks protocol {PROTOCOL}, not {_shown(facts.get('protocol'))}")
    return facts


def _run(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    name = facts.get("errand")
    run = ERRANDS.get(name) if isinstance(name, str) else None
    if run is None:
        raise ErrandRefused(f"no errand {_shown(name)}: there are {', '.join(ERRANDS)}")
    told = run(facts, house)
    if name != "hello":
        which = facts.get("server") or counted(len(facts.get("ids", facts.get("files", ()))), "item")
        log.info("%s of %s, asked for through the outbox's socket", name, which)
    return told


def _hello(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "pid": os.getpid()}


def _retry(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    return {"done": house.retry(_ids(facts))}


def _drop(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    return {"done": house.drop(_ids(facts))}


def _priority(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    priority = facts.get("priority")
    if type(priority) is not int:
        raise ErrandRefused("priority: expected a whole number")
    return {"done": house.set_priority(_ids(facts), priority)}


def _accept(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    files = facts.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= FILES_MAX:
        raise ErrandRefused(f"files: expected 1 to {FILES_MAX}")
    outcomes = house.submit_many([_request(each) for each in files])
    return {"done": [_refusal(each) if isinstance(each, IrisError) else [one.id for one in each] for each in outcomes]}


def _request(facts: Any) -> SftpUploadRequest:
    try:
        return SftpUploadRequest(**facts)
    except TypeError as error:
        raise ErrandRefused(f"files: not the facts of an upload: {error}") from None


def _pause(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    house.pause(_server(facts))
    return {"done": {}}


def _resume(facts: Mapping[str, Any], house: ControlledOutbox) -> dict[str, Any]:
    house.resume(_server(facts))
    return {"done": {}}


ERRANDS: Mapping[str, Callable[[Mapping[str, Any], ControlledOutbox], dict[str, Any]]] = {
    "hello": _hello,
    "retry": _retry,
    "drop": _drop,
    "priority": _priority,
    "accept": _accept,
    "pause": _pause,
    "resume": _resume,
}


def _ids(facts: Mapping[str, Any]) -> list[str]:
    ids = facts.get("ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= IDS_MAX or not all(map(_is_word, ids)):
        raise ErrandRefused(f"ids: expected 1 to {IDS_MAX} ids")
    return ids


def _server(facts: Mapping[str, Any]) -> str:
    server = facts.get("server")
    if not _is_word(server):
        raise ErrandRefused("server: expected a server's key")
    return str(server)


def _is_word(value: Any) -> bool:
    """A text that can be stored: a half of a surrogate pair cannot."""
    if not isinstance(value, str) or not 0 < len(value) <= WORD_MAX:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any) -> str:
    return repr(value)[:40]
