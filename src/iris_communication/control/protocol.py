"""What is said on the control socket: one JSON object on one line, one line back.

    {"protocol": 1, "errand": "retry", "ids": ["019abc"]}         -> {"done": {"019abc": ""}}
    {"protocol": 1, "errand": "pause", "server": "line@host:22"}  -> {"done": {}}
    whatever goes wrong                                           -> {"error": "OutboxFull", "message": "", "hint": ""}

Idea. The owner carries out a request with the same methods that a program in its own process would call, so there is
one way and not two. For each id the answer has an empty text, or why that one was left as it is.

What goes wrong. A line that is no request, or of another protocol, is answered with an error and changes nothing.
Bounds are held before the outbox is asked: one request never keeps the outbox's thread for long.
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
VERB, REFUSED = "errand", "ErrandRefused"  # words on the socket: they are other versions' too, and stay as they are
IDS_MAX = 500  # in one request
FILES_MAX = 32
WORD_MAX = 512  # characters of an id or a server's key
LINE_BYTES_MAX = 256 * 1024  # of a request or an answer: IDS_MAX ids, each with a sentence, are far below


class AcceptedFile(Protocol):
    """Of one file and one destination; a receipt is one."""

    @property
    def id(self) -> str: ...


class ControlledOutbox(Protocol):
    """Whoever can carry out requests; an uploader is one. A text for each id: empty when it is done, else why
    not. Each raises IrisError when the outbox cannot be written to."""

    def retry(self, ids: Sequence[str]) -> dict[str, str]: ...

    def drop(self, ids: Sequence[str]) -> dict[str, str]: ...

    def set_priority(self, ids: Sequence[str], priority: int) -> dict[str, str]: ...

    def submit_requests(
        self, requests: Sequence[SftpUploadRequest]
    ) -> Sequence[Sequence[AcceptedFile] | IrisError]: ...

    def pause(self, server_key: str) -> object: ...

    def resume(self, server_key: str) -> object: ...


class ControlRequestRefused(InvalidRequest):
    """A line that is no request of this protocol."""

    default_hint = "use the program `iris` of the same version as the one that runs the uploader"


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


def answered(line: bytes) -> dict[str, Any]:
    """What an answer says. Raises the error in it, and ValueError or TypeError for a line that is no answer."""
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise TypeError("its answer is no JSON object")
    if "error" in answer:
        raise error_of(answer)
    return answer


def error_of(facts: Mapping[str, Any]) -> IrisError:
    """An error as it was before it was put into an answer; of a kind that is not known here, plain."""
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
    run = REQUESTS.get(verb) if isinstance(verb, str) else None
    if run is None:
        raise ControlRequestRefused(f"no request {_shown(verb)}: there are {', '.join(REQUESTS)}")
    answer = run(facts, outbox)
    if verb != "hello":
        which = facts.get("server") or counted(len(facts.get("ids", facts.get("files", ()))), "item")
        log.info("control socket: %s of %s", verb, which)
    return answer


def _hello(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "pid": os.getpid()}


def _retry(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    return {"done": outbox.retry(_ids(facts))}


def _drop(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    return {"done": outbox.drop(_ids(facts))}


def _priority(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    priority = facts.get("priority")
    if type(priority) is not int:
        raise ControlRequestRefused("priority: expected a whole number")
    return {"done": outbox.set_priority(_ids(facts), priority)}


def _accept(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    files = facts.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= FILES_MAX:
        raise ControlRequestRefused(f"files: expected 1 to {FILES_MAX}")
    outcomes = outbox.submit_requests([_upload_request(each) for each in files])
    return {"done": [_refusal(each) if isinstance(each, IrisError) else [one.id for one in each] for each in outcomes]}


def _upload_request(facts: Any) -> SftpUploadRequest:
    try:
        return SftpUploadRequest(**facts)
    except TypeError as error:
        raise ControlRequestRefused(f"files: not the facts of an upload: {error}") from None


def _pause(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    outbox.pause(_server(facts))
    return {"done": {}}


def _resume(facts: Mapping[str, Any], outbox: ControlledOutbox) -> dict[str, Any]:
    outbox.resume(_server(facts))
    return {"done": {}}


REQUESTS: Mapping[str, Callable[[Mapping[str, Any], ControlledOutbox], dict[str, Any]]] = {
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
        raise ControlRequestRefused(f"ids: expected 1 to {IDS_MAX} ids")
    return ids


def _server(facts: Mapping[str, Any]) -> str:
    server = facts.get("server")
    if not _is_word(server):
        raise ControlRequestRefused("server: expected a server's key")
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
