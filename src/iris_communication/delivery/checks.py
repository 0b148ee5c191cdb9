"""Health checks of the servers, on a schedule: beside the deliveries and never before them.

Rules.
- A check is a conversation of its own on the open connection; where there is none and nothing waits, it opens one. It
  delays no item: while items wait for a connection or for a breaker's probe, the item goes and the check waits.
- Its answer closes a breaker and its failure opens one, as an item's would. So a server whose outage ends while nothing
  waits is known to be back before the next file comes.
- A server is not checked while nothing may be sent to it, nor while the uploader ends. A check that is under way then
  has a moment to finish, to remove the file that its round trip made.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from iris_communication.clock import Clock
from iris_communication.decisions import breaker as breaking
from iris_communication.decisions.breaker import BreakerState
from iris_communication.decisions.health_schedule import HealthSchedule, next_check_s
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.destination import DestinationState
from iris_communication.delivery.holds import FAR_S
from iris_communication.delivery.outcomes import Outcomes
from iris_communication.errors import DeliveryStopped, IrisError, RemoteFailure, Scope
from iris_communication.runtime.repeats import Repeats
from iris_communication.settings import Server
from iris_communication.sftp.trials.probe import Health

log = logging.getLogger(__name__)

GRACE_S = 0.5  # at the end, for a check on an open connection


class Checks:
    """`known` gives the settings of a server."""

    def __init__(
        self,
        carrier: Carrier,
        known: Callable[[str], Server | None],
        outcomes: Outcomes,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._carrier = carrier
        self._known = known
        self._outcomes = outcomes
        self._clock = clock
        self._repeats = Repeats(log, clock.monotonic_s)
        self._jitter = jitter
        self._looks: dict[str, asyncio.Task[None]] = {}  # under way, by server

    @property
    def under_way(self) -> list[asyncio.Task[None]]:
        return list(self._looks.values())

    def consider(self, key: str, destination: DestinationState, *, work: bool, slots: int) -> float:
        """Begin a check if one is due; in how many seconds to ask again. `work`: items wait or are under way; `slots`:
        how many may be at once."""
        record, server, now_s = destination.health, self._known(key), self._clock.monotonic_s()
        if record.checking or server is None or not self._carrier.checks_health:
            return FAR_S
        if record.schedule is None:
            record.schedule = HealthSchedule(now_s, self._jitter())
        due_s = next_check_s(record.schedule, server.health_interval_s, destination.breaker)
        if due_s is None:
            return FAR_S
        if now_s < due_s:
            return due_s - now_s
        if work and (destination.breaker.state is not BreakerState.CLOSED or not self._carrier.connected(key)):
            return FAR_S  # the end of that work wakes the worker
        round_trip = server.health_round_trip and len(destination.under_way) < slots
        connects = not self._carrier.connected(key)
        self._outcomes.set_breaker(key, destination, breaking.on_start(destination.breaker, now_s, connects=connects))
        self._looks[key] = asyncio.get_running_loop().create_task(self._check(key, destination, round_trip))
        record.checking = True
        return FAR_S

    async def finish(self) -> None:
        """Wait for the checks under way that can end soon."""
        if soon := [check for key, check in self._looks.items() if self._carrier.connected(key)]:
            await asyncio.wait(soon, timeout=GRACE_S)

    async def _check(self, key: str, destination: DestinationState, round_trip: bool) -> None:
        revision = destination.revision
        try:
            health = await self._carrier.check(key, round_trip=round_trip)
        except IrisError as error:
            self._failed(key, destination, error, revision)
        except asyncio.CancelledError:
            self._failed(key, destination, DeliveryStopped(f"the health check of {key} was cancelled"), revision)
            raise
        except Exception as raised:  # noqa: BLE001 - unforeseen: logged with its traceback
            text = "the health check of %s failed in an unforeseen way"
            self._repeats.log((key, type(raised)), logging.ERROR, text, key, exc_info=raised)
            self._failed(
                key, destination, RemoteFailure(f"the health check failed in an unforeseen way: {raised!r}"), revision
            )
        else:
            before = destination.health.latest
            self._note(destination, health)
            self._answered(key, destination)
            if not health.ok and (before is None or before.text != health.text):
                log.warning("%s answers, but %s. %s", key, health.text, health.hint)
        finally:
            destination.health.checking = False
            del self._looks[key]
            self._outcomes.news()

    def _answered(self, key: str, destination: DestinationState) -> None:
        """The server answered, whatever was found. Only a link that was down becomes up: a connection that ends with
        the check is no link. A breaker that opened during the check is newer than its answer, and stays open."""
        if destination.breaker.state in (BreakerState.OPEN, BreakerState.HELD):
            return
        if destination.link == "down":
            self._outcomes.answered(key, destination)
        else:
            self._outcomes.set_breaker(key, destination, breaking.on_answer(destination.breaker))

    def _failed(self, key: str, destination: DestinationState, error: IrisError, revision: int) -> None:
        of_ours = isinstance(error, DeliveryStopped)
        self._note(destination, None if of_ours else Health(ok=False, done=(), text=str(error), hint=error.hint))
        if error.scope in (Scope.LINK, Scope.SERVER):
            self._outcomes.trouble(key, destination, error, revision)
        else:
            self._outcomes.set_breaker(key, destination, breaking.on_release(destination.breaker))

    def _note(self, destination: DestinationState, health: Health | None) -> None:
        destination.health.checked(health, self._clock.wall_s(), self._clock.monotonic_s(), self._jitter())
