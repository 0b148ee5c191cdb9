"""The reasons that concern the uploader, its outbox and each server; and one sentence about all files.

The rules:
- A file that was written is counted until its line is in the ledger, wherever it lies: in a records folder, in the
  outbox, or among the dead. Only when none is left, the sentence is "every file is delivered".
- A reason that waits for a person names the command that continues.
- A reason that another one explains (an old backlog by a link that is down) is left out.
"""

from collections.abc import Iterator
from dataclasses import replace

from iris_camera.health.conditions import Reason
from iris_camera.health.facts import Facts, HealthLimits, LinkFacts, OutboxTrouble
from iris_camera.health.sentences import age, age_text, because, given_up_text, removed_text, wait
from iris_communication.runtime.amounts import counted, files, size


def all_files(facts: Facts) -> str:
    """What became of all files, as a sentence."""
    on_the_way = facts.waiting + facts.around.to_accept
    if on_the_way:
        return f"{files(on_the_way)} on the way"
    lost = any(camera.rows_lost or camera.evidence_skipped for camera in facts.cameras)
    if lost or facts.undelivered or facts.around.removed or facts.around.left_behind:
        return "no file waits"
    if written := facts.around.being_written:
        return f"every finished file is delivered, {counted(written, 'is', 'are')} being written"
    return "every file is delivered"


def delivery_reasons(facts: Facts, now_s: float, limits: HealthLimits) -> list[Reason]:
    return [
        *_uploader(facts),
        *(reason for link in facts.links for reason in server_reasons(link, now_s, limits)),
        *_backlog(facts, limits),
        *_long_log(facts),
        *_given_up(facts),
    ]


def why_files_wait(facts: Facts, now_s: float, limits: HealthLimits) -> list[Reason]:
    """Why files of a run that has ended are not delivered; the caller counts them."""
    uncounted = replace(facts.around, to_accept=0)
    ended = replace(facts, around=uncounted, uploader_running=uncounted.not_opened is None, uploader_state="ended")
    links = [replace(link, waiting=0) for link in facts.links if link.waiting]
    return [*_uploader(ended), *(reason for link in links for reason in server_reasons(link, now_s, limits))]


def _uploader(facts: Facts) -> Iterator[Reason]:
    around = facts.around
    waits = f"; {wait(around.to_accept)} in {around.records_folder}" if around.to_accept else ""
    if (trouble := around.not_opened) is not None and not facts.uploader_running:
        yield _not_opened(trouble, waits)
    elif not facts.uploader_running:
        why = f": {facts.uploader_error}" if facts.uploader_error else ""
        text = f"the uploader is not running ({facts.uploader_state}{why}), nothing is delivered until it runs{waits}"
        yield Reason("uploader not running", "", text)
    elif facts.uploader_state == "draining":
        yield Reason("uploader draining", "", "the uploader is finishing what waits and will stop")
    elif (trouble := facts.refusing) is not None:
        kind = "outbox full" if trouble.is_full else "outbox refuses"
        yield Reason(kind, "", f"the outbox accepts no file ({trouble.text}){waits}; {trouble.hint}")
    if not around.servers_known:
        yield Reason("no server", "", f"no server is configured{waits}; give one in [servers.NAME]")


def _not_opened(trouble: OutboxTrouble, waits: str) -> Reason:
    if trouble.in_use:
        return Reason(
            "outbox in use", "", f"{trouble.text}, so nothing is delivered by this one{waits}; {trouble.hint}"
        )
    return Reason("outbox not open", "", f"the outbox cannot be opened ({trouble.text}){waits}; {trouble.hint}")


def server_reasons(link: LinkFacts, now_s: float, limits: HealthLimits) -> Iterator[Reason]:
    """Why files do not go to one server; at most one reason, the strongest."""
    waits = f", {wait(link.waiting)}" if link.waiting else ""
    again = f"`iris queue resume {link.server}` goes on"
    if link.paused:
        yield Reason("server paused", link.server, f"{link.server} is paused{waits}; {again}")
    elif link.held:
        text = f"{link.server} is not tried again until an operator acts{because(link.reason)}{waits}"
        first = (link.hint or "").partition(";")[0]  # the command below replaces the rest
        yield Reason("server needs a person", link.server, f"{text}; {_hint(first)}when that is mended, {again}")
    elif link.held_back:
        yield Reason("server outside its window", link.server, f"{link.server}: {link.held_back}{waits}")
    elif link.link == "down" and link.takes_nothing:
        hint = (link.hint or "").removesuffix("; delivery resumes by itself")  # the text below says it
        took = (
            "took nothing before this start"
            if link.since_s is None
            else f"has taken nothing for {age(now_s, link.since_s)}"
        )
        text = f"{link.server} {took}{because(link.reason)}{waits}"
        yield Reason("server takes nothing", link.server, f"{text}; {_hint(hint)}it is tried again by itself")
    elif link.link == "down":
        until = f", {files(link.waiting)} waiting until it is back" if link.waiting else ""
        was = "was down before this start" if link.since_s is None else f"has been down for {age(now_s, link.since_s)}"
        text = f"the link to {link.server} {was}{because(link.reason)}{until}"
        yield Reason("link down", link.server, text)
    elif link.refused:
        yield _refuses(link, limits)
    elif link.check:
        yield Reason("server fails a check", link.server, f"{link.server}: {link.check}; {link.check_hint or ''}")


def _refuses(link: LinkFacts, limits: HealthLimits) -> Reason:
    everything = link.refused_in_a_row >= limits.refused_in_a_row
    kind = "server refuses everything" if everything else "server refuses files"
    refuses = f"{link.server} refuses {'everything, ' if everything else ''}{files(link.refused)} so far"
    why = f": {link.refusal}" if link.refusal else " of an earlier run"
    then = "each is tried attempts_max times, then waits as dead for `iris queue retry --all`"
    return Reason(kind, link.server, f"{refuses}{why}; {_hint(link.refusal_hint)}{then}")


def _hint(hint: str | None) -> str:
    return f"{hint}; " if hint else ""


def _backlog(facts: Facts, limits: HealthLimits) -> Iterator[Reason]:
    explained = not facts.uploader_running or any(
        link.link == "down" or link.held or link.paused or link.held_back or link.refused for link in facts.links
    )
    oldest_s = facts.oldest_waiting_s
    if not explained and oldest_s is not None and oldest_s > limits.waiting_long_s:
        text = f"the oldest of {files(facts.waiting)} has waited {age_text(oldest_s)} although no link is down"
        yield Reason("backlog old", "", text)


def _long_log(facts: Facts) -> Iterator[Reason]:
    if (long := facts.long_log) is None:
        return
    text = f"the log of the outbox's database has grown to {size(long.size_bytes)}"
    if long.readers:
        why = f"while {', '.join(long.readers)} reads the database; end that, and it gets short with the next files"
    else:
        why = "and nothing is seen that reads the database just now; it gets short with the next files"
    yield Reason("outbox log long", "", f"{text} {why}")


def _given_up(facts: Facts) -> Iterator[Reason]:
    if removed := facts.around.removed:
        yield Reason("files removed", "", f"{removed_text(removed, facts.around.records_folder)}, and are lost")
    for text in facts.around.left_behind:
        yield Reason("files left behind", text, text)
    if facts.dead:
        text = (
            f"{files(facts.dead)} could not be delivered and {'needs' if facts.dead == 1 else 'need'} somebody to look"
        )
        yield Reason("dead files", "", f"{text}; `iris queue list` says why, `iris queue retry --all` tries again")
    if (ended := facts.undelivered - facts.dead) > 0:
        yield Reason("files given up", "", given_up_text(ended))
