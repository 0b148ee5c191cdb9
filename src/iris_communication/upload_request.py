"""A caller's request for an upload, checked whole and turned into a message for the writer.

A request that could never be delivered as it stands is refused here, before anything is stored; the rules of the
settings fill in what it leaves open.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iris_communication.decisions import rules
from iris_communication.decisions.batching import batch_queue
from iris_communication.errors import InvalidRequest
from iris_communication.item import After, Take
from iris_communication.outbox.writer.messages import Accept, Destination
from iris_communication.remote_path import remote_path, source_path
from iris_communication.settings import DeliverySettings, Rule, Secret, Server, check_priority, is_amount

ServerInfo = str | Mapping[str, Any]  # a configured server's name, or its facts
Resolve = Callable[[ServerInfo], tuple[Server, Secret]]


@dataclass(frozen=True, slots=True)
class SftpUploadRequest:
    """One file to deliver. `take="move"` hands the file over: it is unlinked once the outbox holds it.

    Once it is accepted the file may be removed or replaced. Up to 1 MiB its bytes are copied; a larger file, and a
    moved one of over 100 kB, is held by a hard link to the same bytes: a program that writes *into* it before it is
    delivered changes what the outbox holds, and it is given up as changed. To write anew, write another file and rename
    it.

    `sftp_server_info` may be a list: the file then goes to each of them, as an item of its own. `priority` (-9
    to 9, higher first), `ttl_s` (seconds after which it is given up as expired), `after_delivery` ("keep", "delete" or
    "move" of the source, to the folder `move_to`): None leaves it to the rules of DeliverySettings.

    `identity`, device and inode (`st_dev`, `st_ino`), is for folders that others may write to: the path is opened once,
    and only that very file is taken; another one, or what a link leads to by now, is refused with SourceReplaced.
    """

    sftp_server_info: ServerInfo | Sequence[ServerInfo]
    file_path: "str | os.PathLike[str]"
    project_settings: str | Mapping[str, Any]
    folder_type: str
    take: str = "copy"
    priority: int | None = None
    ttl_s: float | None = None
    after_delivery: str | None = None
    move_to: "str | os.PathLike[str] | None" = None
    identity: Sequence[int] | None = None


def accept_message(request: SftpUploadRequest, settings: DeliverySettings, resolve: Resolve) -> Accept:
    """The message for the writer. `resolve` gives the address and the secret of one `sftp_server_info`. Raises
    InvalidRequest, and what `resolve` raises."""
    source = source_path(request.file_path)
    check_text("folder_type", request.folder_type)
    rule = rules.facts(settings.rules.values(), request.folder_type, os.path.basename(source))
    infos = _infos(request.sftp_server_info)
    destinations = tuple(_destination(resolve(info), source, request, rule) for info in infos)
    after, move_to = _after(request, rule)
    priority = request.priority if request.priority is not None else rule.priority
    return Accept(
        destinations=destinations,
        source_path=source,
        project_settings=_as_stored(request.project_settings),
        folder_type=request.folder_type,
        take=_take(request.take),
        priority=0 if priority is None else check_priority(priority),
        ttl_s=_ttl_s(request.ttl_s, rule.ttl_s, settings.ttl_s),
        after=after,
        move_to=move_to,
        identity=_identity(request.identity),
    )


def _destination(where: tuple[Server, Secret], source: str, request: SftpUploadRequest, rule: Rule) -> Destination:
    server, secret = where
    path = remote_path(server, source, request.project_settings, request.folder_type)
    return Destination(server, secret, path, batch_queue(rule.batch, path))


def _infos(info: ServerInfo | Sequence[ServerInfo]) -> Sequence[ServerInfo]:
    if isinstance(info, (str, Mapping)):
        return [info]
    if not isinstance(info, Sequence) or not info:
        raise InvalidRequest(
            f"sftp_server_info is a {type(info).__name__}: expected a mapping, a server's name, or a list of these"
        )
    return info


def _after(request: SftpUploadRequest, rule: Rule) -> tuple[After, str]:
    """What becomes of the source, and the folder it is moved to."""
    chosen = request.after_delivery if request.after_delivery is not None else rule.after_delivery
    try:
        after = After(chosen or "keep")
    except ValueError:
        raise InvalidRequest(f"after_delivery is {chosen!r}: expected 'keep', 'delete' or 'move'") from None
    folder = request.move_to if request.move_to is not None else rule.move_to
    if after is not After.MOVE:
        return after, ""
    if not folder:
        raise InvalidRequest("after_delivery is 'move', so move_to has to name a folder")
    return after, source_path(folder)


def _identity(given: Sequence[int] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    try:
        device, inode = map(int, given)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(f"identity is {given!r}: expected a file's device and inode") from None
    return device, inode


def _ttl_s(*candidates: float | None) -> float | None:
    """The first that is given."""
    ttl_s = next((each for each in candidates if each is not None), None)
    if ttl_s is not None and not is_amount(ttl_s):
        raise InvalidRequest(f"ttl_s is {ttl_s!r}: expected a number above 0")
    return ttl_s


def check_text(name: str, value: Any) -> None:
    try:
        value.encode()
    except (AttributeError, UnicodeError):
        raise InvalidRequest(f"{name} is {value!r}: expected a text") from None


def _take(take: str) -> Take:
    try:
        return Take(take)
    except ValueError:
        raise InvalidRequest(f"take is {take!r}: expected 'copy' or 'move'") from None


def _as_stored(project_settings: str | Mapping[str, Any]) -> dict[str, Any]:
    facts = {"project": project_settings} if isinstance(project_settings, str) else dict(project_settings)
    try:
        json.dumps(facts)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"project_settings cannot be stored: {error}; use texts, numbers, lists, mappings"
        ) from None
    return facts
