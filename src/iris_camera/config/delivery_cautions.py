"""Cautions about delivery: where files are given up, overwritten or sent later than expected. None is a mistake."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from iris_camera.config.problem import Problem
from iris_camera.config.reading import SettingsRead
from iris_camera.config.sections import EVIDENCE_FIRST
from iris_communication.settings import Rule

RECORD_TYPES = ("model", "classifier")
EVIDENCE_TYPE = "evidence"
WEEK_S = 7 * 24 * 3600.0


def of_delivery(reading: SettingsRead) -> Iterator[Problem]:
    yield from _of_names_that_are_taken(reading)
    yield from _of_one_place_twice(reading)
    yield from _of_what_expires(reading)
    yield from _of_evidence(reading)
    yield from _of_sources(reading)
    yield from _of_a_full_outbox(reading)


def _of_names_that_are_taken(reading: SettingsRead) -> Iterator[Problem]:
    text = {
        "overwrite": "a file on the server that has the name of one of ours is lost",
        "keep": "a file of ours whose name is taken on the server is dropped",
    }
    for name, server in reading.config.servers.items():
        if server.conflict in text:
            yield Problem(
                reading.origin("servers", name, "conflict"),
                f'servers.{name}.conflict is "{server.conflict}": {text[server.conflict]}',
            )


def _of_one_place_twice(reading: SettingsRead) -> Iterator[Problem]:
    config = reading.config
    for camera in config.cameras:
        first: dict[tuple[str, str, str], str] = {}
        for name in config.servers_of(camera):
            server = config.servers[name]
            earlier = first.setdefault((server.account, server.remote_directory, server.remote_path), name)
            if earlier != name:
                yield Problem(
                    reading.origin("cameras", camera, "server"),
                    f"cameras.{camera}.server names {earlier} and {name}, which are one folder of one account: each "
                    "file is sent there twice",
                )


def _of_what_expires(reading: SettingsRead) -> Iterator[Problem]:
    delivery = reading.config.delivery
    given: list[tuple[tuple[str, ...], float | None]] = [(("delivery",), delivery.ttl_s)]
    given += [(("delivery", "rules", name), rule.ttl_s) for name, rule in delivery.rules.items()]
    closed = [name for name, server in reading.config.servers.items() if server.windows]
    for path, ttl_s in given:
        if ttl_s is None:
            continue
        text = f"{'.'.join(path)}.ttl_s is {ttl_s:g}: a file that is not delivered by then is given up"
        if closed and ttl_s < WEEK_S:
            text += f", also while {' and '.join(closed)} may not be sent anything (windows)"
        yield Problem(reading.origin(*path, "ttl_s"), text)


def _of_evidence(reading: SettingsRead) -> Iterator[Problem]:
    """Evidence is to go first, so a setting that holds it back is a caution."""
    rules = reading.config.delivery.rules
    evidence = _first(rules, EVIDENCE_TYPE, "priority")
    priority = rules[evidence].priority if evidence else None
    for folder_type in RECORD_TYPES:
        other = _first(rules, folder_type, "priority")
        of_others = rules[other].priority if other else None
        if (priority or 0) <= (of_others or 0):
            named = other or evidence or EVIDENCE_FIRST  # which was replaced by one that gives no priority
            yield Problem(
                reading.origin("delivery", "rules", named),
                f"delivery.rules.{named}: pictures of defects (evidence) do not go before {folder_type} files: their "
                f"priority is {priority or 0}, that of {folder_type} files {of_others or 0}",
            )
            break
    batched = _first(rules, EVIDENCE_TYPE, "batch")
    if batched is not None:
        yield Problem(
            reading.origin("delivery", "rules", batched, "batch"),
            f"delivery.rules.{batched} puts pictures of defects (evidence) into archives: they wait up to "
            f"{rules[batched].batch_wait_s:g} s for others, and get no smaller",
        )


def _first(rules: Mapping[str, Rule], folder_type: str, fact: str) -> str | None:
    """The name of the first rule that states `fact` for all files of a kind."""
    for name, rule in rules.items():
        if fnmatchcase(folder_type, rule.folder_type) and rule.pattern == "*" and getattr(rule, fact) is not None:
            return name
    return None


def _of_sources(reading: SettingsRead) -> Iterator[Problem]:
    for name, rule in reading.config.delivery.rules.items():
        concerned = [each for each in (*RECORD_TYPES, EVIDENCE_TYPE) if fnmatchcase(each, rule.folder_type)]
        if concerned and rule.after_delivery in {"delete", "move"}:
            yield Problem(
                reading.origin("delivery", "rules", name, "after_delivery"),
                f'delivery.rules.{name}.after_delivery is "{rule.after_delivery}", which says nothing of the cameras\' '
                "own files: they are handed over for good, and kept by keep_bytes_max in [records]",
            )


def _of_a_full_outbox(reading: SettingsRead) -> Iterator[Problem]:
    outbox = reading.config.outbox
    if outbox.when_full != "reject":
        yield Problem(
            reading.origin("outbox", "when_full"),
            f'outbox.when_full is "{outbox.when_full}": when the outbox is full, files that wait are dropped for good; '
            'with "reject" new ones stay in the records\' folder and are delivered later',
        )
