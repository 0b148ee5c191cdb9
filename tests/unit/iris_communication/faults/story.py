"""Five files on their way to a faulty server, attempt after attempt, as the carrier and the decisions have it."""

from dataclasses import dataclass, field

from iris_communication.decisions.attempt import claimed, failed, released
from iris_communication.decisions.retry import Retrying, after_failure
from iris_communication.errors import Effect, IrisError
from iris_communication.item import Event, State
from iris_communication.testing import FakeClock
from tests.unit.iris_communication.delivery.carrier_line import CarrierLine, pass_time
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.virtual_time import run

FILES = 5
SIZE_BYTES = 100_000  # more than one WRITE on every server
ATTEMPTS_MAX = 4
RETRYING = Retrying(ATTEMPTS_MAX, 1.0, 1.0)
ROUND_TRIP_S = 0.1
RELEASED_MAX = 4  # times that the server is found at fault, before it counts as one that waits for a person


@dataclass
class Ending:
    """`errors` are all that were met and `events` what was decided, attempt by attempt; `ends` how it ended for each
    file, by its number."""

    errors: list[list[IrisError]] = field(default_factory=list)
    events: list[list[Event]] = field(default_factory=list)
    ends: dict[int, str] = field(default_factory=dict)
    partial: set[bytes] = field(default_factory=set)  # names seen with something else than their whole content
    arrived: dict[bytes, bytes] = field(default_factory=dict)


def content_of(number):
    return bytes((number * 31 + place) % 251 for place in range(SIZE_BYTES))


class WatchedLine(CarrierLine):
    """Looks at the server's folder after each request."""

    def __init__(self, folder, make, ending):
        clock = FakeClock()
        server = make(clock.monotonic_s)
        super().__init__(folder, server)
        self.clock = clock
        self.transport.round_trip_s = ROUND_TRIP_S
        whole = {b"/in/%d.csv" % number: content_of(number) for number in range(FILES)}
        answer = server.answer

        def watched(session, request):
            try:
                return answer(session, request)
            finally:
                for path, content in whole.items():
                    if (found := server.content(path)) is not None and found != content:
                        ending.partial.add(path)

        server.answer = watched


def deliver(folder, make, meanwhile=lambda server: None):
    """`make` makes the server, given the time; `meanwhile` is called before each attempt but the first."""
    ending = Ending()
    line = WatchedLine(folder, make, ending)
    server = line.server

    async def story():
        await line.open()
        owed = {}
        for number in range(FILES):
            owed[number] = line.item(number, content_of(number), state=State.WAITING, token=None, effect=Effect.NONE)
        try:
            for attempt in range(ATTEMPTS_MAX + RELEASED_MAX):
                if attempt:
                    meanwhile(server)
                await _attempt(line, owed, ending, f"{attempt:02}")
                if not owed:
                    break
        finally:
            await line.carrier.close()
            await turns()
        ending.ends |= dict.fromkeys(owed, "waits")

    run(story(), line.clock)
    collected = dict(getattr(server, "collected", ()))
    names = (b"/in/%d.csv" % number for number in range(FILES))
    ending.arrived = {name: server.content(name) or collected.get(name, b"") for name in names}
    return ending


async def _attempt(line, owed, ending, attempt):
    for number, item in owed.items():
        owed[number] = claimed(item, f"{attempt}{number:014}")
    ending.errors.append([])
    ending.events.append([])
    outcomes = dict(zip(owed, await line.carry(*owed.values()), strict=True))
    for number, outcome in outcomes.items():
        if not isinstance(outcome, Exception):
            ending.ends[number] = "delivered"
            del owed[number]
            continue
        if not isinstance(outcome, IrisError):
            raise outcome
        decision = after_failure(outcome, owed[number].attempts, RETRYING, 0.0)
        ending.errors[-1].append(outcome)
        ending.events[-1].append(decision.event)
        if decision.event is Event.GIVE_UP:
            ending.ends[number] = "given up"
            del owed[number]
        elif decision.event is Event.RELEASE:
            owed[number] = released(owed[number], outcome, outcome.effect)
        else:
            owed[number] = failed(owed[number], decision.event, outcome, outcome.effect, None)
    await pass_time(1.0)
