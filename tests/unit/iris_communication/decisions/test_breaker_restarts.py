"""A breaker that outlives its process: what is stored, what comes back, and how often a crash loop knocks."""

import json
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.decisions.breaker import (
    Breaker,
    BreakerState,
    allowance,
    kept,
    on_answer,
    on_failure,
    on_release,
    on_start,
    restored,
)
from iris_communication.errors import AuthenticationFailed, LinkLost
from iris_communication.item import Failure
from iris_communication.settings import DeliverySettings

PROPERTY = settings(derandomize=True, deadline=None, database=None)
SETTINGS = DeliverySettings(breaker_base_s=1.0, breaker_cap_s=60.0)
CLOSED, OPEN, HALF_OPEN, HELD = BreakerState
WHY = Failure("LinkLost", "cut", "wait")
NOW_S, BOOT_S = 1_000.0, 50_000.0
LUCK = st.floats(0, 1, exclude_max=True)


def stored(breaker, now_s=NOW_S, boot_s=BOOT_S):
    """As the disk gives it back."""
    return json.loads(json.dumps(kept(breaker, now_s, ("boot", boot_s))))


def after_restart(facts, passed_s=0.0, boot_id="boot", jitter=0.5):
    """In a new process, whose monotonic clock begins anywhere."""
    breaker, warning = restored(facts, 7.0, (boot_id, BOOT_S + passed_s), SETTINGS, jitter)
    assert warning == ""
    return breaker


def test_a_closed_breaker_is_not_stored_and_no_facts_come_back_closed():
    assert kept(Breaker(), NOW_S, ("boot", BOOT_S)) == {}
    assert after_restart({}) == after_restart(None) == Breaker()


def test_an_open_one_waits_for_what_was_left():
    facts = stored(Breaker(OPEN, 6, NOW_S + 30, WHY))
    assert after_restart(facts, passed_s=10) == Breaker(OPEN, 6, 7.0 + 20, WHY)


def test_an_open_one_whose_time_came_meanwhile_may_probe_at_once():
    breaker = after_restart(stored(Breaker(OPEN, 6, NOW_S + 30, WHY)), passed_s=31)
    assert allowance(breaker, 64, 7.0) == 1


def test_a_breaker_waits_once_more_after_a_reboot_for_as_long_as_its_failures_ask():
    facts = stored(Breaker(OPEN, 4, NOW_S + 1, WHY))
    assert after_restart(facts, boot_id="other", jitter=0.0) == Breaker(OPEN, 4, 7.0 + 4, WHY)
    assert after_restart(facts, passed_s=1e6, boot_id="other", jitter=0.0).until_s == 7.0 + 4


@pytest.mark.parametrize("boot_id", ["boot", "other"])
def test_a_server_that_only_a_person_can_mend_is_still_held(boot_id):
    refused = on_failure(Breaker(), AuthenticationFailed("wrong password"), SETTINGS, 0.5, NOW_S)
    breaker = after_restart(stored(refused), passed_s=1e6, boot_id=boot_id)
    assert breaker == refused
    assert allowance(breaker, 64, 1e9) == 0


def test_a_probe_whose_outcome_nobody_knows_has_failed_and_the_wait_counts_from_it():
    probing = on_start(Breaker(OPEN, 3, NOW_S, WHY), NOW_S)
    facts = stored(probing)
    assert after_restart(facts, passed_s=0.5, jitter=0.0) == Breaker(OPEN, 4, 7.0 + 3.5, WHY)
    assert after_restart(facts, passed_s=3.9, jitter=0.0).until_s == pytest.approx(7.0 + 0.1)
    assert after_restart(facts, passed_s=3.9, boot_id="other", jitter=0.0).until_s == 7.0 + 4


def test_a_probe_that_went_out_long_after_its_time_had_come_counts_from_when_it_went():
    probing = on_start(Breaker(OPEN, 3, NOW_S - 3600, WHY), NOW_S)
    assert after_restart(stored(probing), jitter=0.0).until_s == 7.0 + 4


@pytest.mark.parametrize("breaker", [Breaker(OPEN, 6, NOW_S + 9e9, WHY), Breaker(HALF_OPEN, 6, NOW_S + 9e9, WHY)])
def test_a_restored_breaker_never_waits_longer_than_the_cap(breaker):
    assert after_restart(stored(breaker)).until_s == 7.0 + SETTINGS.breaker_cap_s


def test_the_first_connection_of_all_counts_too():
    connecting = on_start(Breaker(), NOW_S, connects=True)
    breaker = after_restart(stored(connecting, now_s=NOW_S + 0.2), passed_s=0.3, jitter=0.0)
    assert (breaker.state, breaker.failures) == (OPEN, 1)
    assert breaker.until_s == pytest.approx(7.0 + 0.5 - 0.1 - 0.4)
    assert breaker.failure.message == "the program ended before the server had answered"


def test_a_probe_that_stopping_broke_off_may_be_sent_again_after_the_restart():
    probing = on_start(Breaker(OPEN, 3, NOW_S, WHY), NOW_S)
    assert allowance(after_restart(stored(on_release(probing))), 64, 7.0) == 1


GOOD = stored(Breaker(OPEN, 6, NOW_S + 30, WHY))


@pytest.mark.parametrize(
    "facts",
    [
        "open",
        ["open"],
        17,
        {"state": "open"},
        {**GOOD, "state": "ajar"},
        {**GOOD, "state": "closed"},
        {**GOOD, "state": None},
        {**GOOD, "failures": -1},
        {**GOOD, "failures": "6"},
        {**GOOD, "until_boot_s": None},
        {**GOOD, "until_boot_s": float("nan")},
        {**GOOD, "until_boot_s": float("inf")},
        {**GOOD, "until_boot_s": 10**400},
        {**GOOD, "failure": None},
        {**GOOD, "failure": ["LinkLost"]},
        {**GOOD, "failure": 3},
    ],
    ids=repr,
)
def test_rubbish_begins_closed_and_is_warned_about(facts):
    breaker, warning = restored(facts, 7.0, ("boot", BOOT_S), SETTINGS, 0.5)
    assert breaker == Breaker()
    assert "stored state of its breaker is unreadable" in warning


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=5,
)


@PROPERTY
@given(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["open", "held", "half open", "closed"]) | JSON,
            "failures": st.integers() | JSON,
            "boot_id": st.sampled_from(["boot", "other"]) | JSON,
            "until_boot_s": st.floats() | JSON,
            "failure": st.lists(st.text(max_size=3), max_size=4) | JSON,
        },
    ),
    LUCK,
)
def test_a_breaker_comes_back_whatever_the_disk_holds_and_opens_within_its_cap(facts, jitter):
    breaker, _ = restored(facts, 7.0, ("boot", BOOT_S), SETTINGS, jitter)
    assert breaker.state in (CLOSED, OPEN, HELD)
    assert breaker.state is HELD or allowance(breaker, 64, 7.0 + SETTINGS.breaker_cap_s) >= 1
    assert breaker == Breaker() or isinstance(breaker.failure, Failure)


@PROPERTY
@given(st.integers(1, 50), st.floats(0, 60), st.lists(st.tuples(st.floats(0, 20), LUCK), max_size=20), st.booleans())
def test_no_number_of_restarts_makes_it_probe_earlier_or_wait_longer(failures, wait_s, restarts, probing):
    """The time of the next probe, since boot, over restarts that store again what they found, or do not."""
    breaker = Breaker(OPEN, failures, NOW_S + wait_s, WHY)
    earliest_s = latest_s = BOOT_S + wait_s
    if probing:
        breaker = on_start(replace(breaker, until_s=NOW_S), NOW_S)
        full_s = min(60.0, 2.0**failures)
        earliest_s, latest_s = BOOT_S + full_s / 2, BOOT_S + full_s
    facts, boot_s = stored(breaker), BOOT_S
    for passed_s, jitter in restarts:
        boot_s += passed_s
        found = after_restart(facts, boot_s - BOOT_S, jitter=jitter)
        probe_s = boot_s + found.until_s - 7.0
        assert max(earliest_s, boot_s) - 1e-6 <= probe_s <= max(latest_s, boot_s) + 1e-6
        if int(passed_s) % 2:
            facts = json.loads(json.dumps(kept(found, 7.0, ("boot", boot_s))))
            earliest_s = latest_s = probe_s


@dataclass
class DeadServer:
    """Never answers a connection: neither accepts nor refuses it within `timeout_s`."""

    timeout_s: float = 15.0


@dataclass
class Plant:
    """One process after another over one server: a hundred thousand items wait, a health check is always due."""

    server: DeadServer
    facts: dict = field(default_factory=dict)
    boot_s: float = BOOT_S
    jitter: random.Random = field(default_factory=lambda: random.Random(1))
    connections: list[float] = field(default_factory=list)

    def live(self, life_s, step_s=0.05):
        """One process, that crashes after `life_s`."""
        offset_s = self.jitter.uniform(0, 1000)  # each process has a monotonic clock of its own
        breaker, warning = restored(
            self.facts, self.boot_s - offset_s, ("boot", self.boot_s), SETTINGS, self.jitter.random()
        )
        assert warning == ""
        under_way, connection_s = 0, None
        ends_s = self.boot_s + life_s
        while self.boot_s < ends_s:
            now_s = self.boot_s - offset_s
            if connection_s is not None and self.boot_s >= connection_s + self.server.timeout_s:
                for _ in range(under_way):  # they all fail in one collapse
                    breaker = on_failure(breaker, LinkLost("no answer"), SETTINGS, self.jitter.random(), now_s)
                under_way, connection_s = 0, None
            for _ in range(allowance(breaker, 64, now_s) - under_way):
                if connection_s is None:
                    connection_s = self.boot_s
                    self.connections.append(connection_s)
                breaker = on_start(breaker, now_s, connects=True)
                under_way += 1
                if breaker.state is not CLOSED:
                    break
            self.boot_s += step_s
        self.facts = json.loads(json.dumps(kept(breaker, now_s, ("boot", now_s + offset_s))))


HOUR_S = 3600.0
# Six waits below the cap, then at most one connection in half the cap.
CONNECTIONS_AN_HOUR_MAX = 7 + HOUR_S / (SETTINGS.breaker_cap_s / 2)


def test_a_hundred_thousand_items_behind_a_dead_server_cost_one_probe_an_interval():
    plant = Plant(DeadServer(timeout_s=0.1))
    plant.live(HOUR_S)
    assert 60 <= len(plant.connections) <= CONNECTIONS_AN_HOUR_MAX


@pytest.mark.parametrize("life_s", [0.05, 0.5, 3.0, 20.0, 70.0])
@pytest.mark.parametrize("timeout_s", [0.1, 15.0])
def test_a_crash_loop_connects_no_more_often_than_a_process_that_lives(life_s, timeout_s):
    plant = Plant(DeadServer(timeout_s))
    while plant.boot_s < BOOT_S + HOUR_S:
        plant.live(life_s)
    gaps = [later - earlier for earlier, later in zip(plant.connections, plant.connections[1:], strict=False)]
    assert len(plant.connections) <= CONNECTIONS_AN_HOUR_MAX
    assert min(gaps[6:]) >= SETTINGS.breaker_cap_s / 2 - 0.1
    assert max(gaps) <= SETTINGS.breaker_cap_s + timeout_s + life_s + 0.1  # and it does not give up either


def test_a_server_that_answers_again_ends_the_waits_of_a_crash_loop():
    plant = Plant(DeadServer())
    while plant.boot_s < BOOT_S + HOUR_S:
        plant.live(0.5)
    breaker = after_restart(plant.facts, passed_s=plant.boot_s - BOOT_S + 61)
    assert allowance(breaker, 64, 7.0) == 1
    assert after_restart(stored(on_answer(on_start(breaker, 7.0)))) == Breaker()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["start"] * 3 + ["fail"] * 2 + ["crash"] * 2 + ["pass", "pass long", "answer", "stop"]),
        LUCK,
    ),
    max_size=80,
)


@settings(PROPERTY, max_examples=300)
@given(EVENTS)
def test_a_wait_lies_between_two_probes_unless_an_answer_or_our_own_stop_does(events):
    breaker, now_s, boot_s = Breaker(), NOW_S, BOOT_S
    connection_s, failures, free = (
        None,
        0,
        True,
    )  # of the latest connection; in a row; whether the next one may go at once
    for event, jitter in events:
        if event == "start" and allowance(breaker, 1, now_s) and not (breaker.connecting or breaker.state is HALF_OPEN):
            if not free:
                least_s = min(SETTINGS.breaker_cap_s, 2.0 ** (failures - 1)) / 2
                assert boot_s - connection_s >= least_s - 1e-6
            breaker, connection_s, free = on_start(breaker, now_s, connects=True), boot_s, False
            failures += 1
        elif event == "fail" and connection_s is not None:
            breaker = on_failure(breaker, LinkLost("cut"), SETTINGS, jitter, now_s)
        elif event == "answer" and connection_s is not None:
            breaker, failures, free = on_answer(breaker), 0, True
        elif event == "stop":
            free = free or breaker.connecting or breaker.state is HALF_OPEN
            failures -= breaker.connecting or breaker.state is HALF_OPEN
            breaker = on_release(breaker)
        elif event == "crash":
            facts = stored(breaker, now_s, boot_s)
            now_s = jitter * 1000
            breaker, _ = restored(facts, now_s, ("boot", boot_s), SETTINGS, jitter)
        else:
            passed_s = jitter * (100 if event == "pass long" else 3)
            now_s, boot_s = now_s + passed_s, boot_s + passed_s
