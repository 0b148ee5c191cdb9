"""What is known of a server beside its address, and outlives a restart: whether it is paused, and its breaker."""

import dataclasses

from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.outbox.store.contract import ServerState
from iris_communication.settings import Secret
from tests.unit.iris_communication.outbox.fake_parts import SECRET, SERVER, open_writer

KEY = SERVER.key
HELD = {"state": "held", "failures": 1}
OPEN = {"state": "open", "failures": 4}


def breaker(outbox):
    outbox.writer.flush()
    return outbox.writer.snapshot.servers.get(KEY, ServerState()).breaker


def test_a_pause_outlives_the_process_until_it_is_resumed(folder, source):
    with open_writer(folder) as outbox:
        outbox.accept(source)
        outbox.writer.execute(PauseServer(KEY))
        assert outbox.writer.snapshot.servers == {KEY: ServerState(paused=True)}
    with open_writer(folder) as outbox:
        assert outbox.writer.snapshot.servers == {KEY: ServerState(paused=True)}
        outbox.writer.execute(ResumeServer(KEY))
    with open_writer(folder) as outbox:
        assert outbox.writer.snapshot.servers == {KEY: ServerState()}


def test_a_breaker_outlives_the_process_and_a_pause_changes_nothing_about_it(folder):
    with open_writer(folder) as outbox:
        outbox.writer.keep_breaker(KEY, OPEN)
        outbox.writer.execute(PauseServer(KEY))
    with open_writer(folder) as outbox:
        assert outbox.writer.snapshot.servers == {KEY: ServerState(paused=True, breaker=OPEN)}
        outbox.writer.keep_breaker(KEY, None)
        assert breaker(outbox) is None
        assert outbox.writer.snapshot.servers[KEY].paused


def test_the_last_of_several_facts_in_one_group_counts(outbox):
    for facts in (OPEN, None, HELD):
        outbox.writer.keep_breaker(KEY, facts)
    assert breaker(outbox) == HELD


def test_new_facts_release_what_waits_for_a_person_also_while_nothing_delivers(outbox):
    told = []
    outbox.writer.subscribe(lambda: None, told.append)
    outbox.writer.remember(SERVER, SECRET, None)
    outbox.writer.keep_breaker(KEY, HELD)
    outbox.writer.remember(SERVER, Secret(password="another"), None)
    assert breaker(outbox) is None
    assert told == [KEY, KEY]


def test_facts_that_are_known_already_release_nothing(outbox):
    """A program that is started again and again says the same each time; trying each time is what gets it banned."""
    told = []
    outbox.writer.remember(SERVER, SECRET, "plant")
    outbox.writer.keep_breaker(KEY, HELD)
    outbox.writer.subscribe(lambda: None, told.append)
    outbox.writer.remember(SERVER, SECRET, "plant")
    assert breaker(outbox) == HELD
    assert told == []


def test_new_facts_leave_a_breaker_that_only_waits_as_it_is(outbox):
    outbox.writer.remember(SERVER, SECRET, None)
    outbox.writer.keep_breaker(KEY, OPEN)
    outbox.writer.remember(SERVER, Secret(password="another"), None)
    assert breaker(outbox) == OPEN


def test_resuming_notifies_the_delivery(outbox):
    told = []
    outbox.writer.subscribe(lambda: None, told.append)
    outbox.writer.execute(PauseServer(KEY))
    assert told == []
    outbox.writer.execute(ResumeServer(KEY))
    assert told == [KEY]


def test_resuming_releases_what_waits_for_a_person_also_while_nothing_delivers(outbox):
    outbox.writer.keep_breaker(KEY, HELD)
    outbox.writer.execute(ResumeServer(KEY))
    assert breaker(outbox) is None


def test_the_latest_settings_of_an_account_count_for_all_its_folders(outbox):
    servers = outbox.writer.servers
    outbox.writer.remember(dataclasses.replace(SERVER, remote_directory="/a"), SECRET, None)
    outbox.writer.remember(dataclasses.replace(SERVER, remote_directory="/b", conflict="fail"), SECRET, None)
    assert servers.known(KEY) == dataclasses.replace(SERVER, remote_directory="/b", conflict="fail")
    outbox.writer.remember(dataclasses.replace(SERVER, remote_directory="/a", conflict="keep"), SECRET, None)
    assert (servers.known(KEY).remote_directory, servers.known(KEY).conflict) == ("/a", "keep")


def test_windows_come_back_as_they_were(folder):
    server = dataclasses.replace(SERVER, windows=("Mon-Fri 18:00-06:00", "Sat,Sun"))
    with open_writer(folder) as outbox:
        outbox.writer.remember(server, SECRET, "plant")
    with open_writer(folder) as outbox:
        assert outbox.writer.servers.known(KEY) == server
        assert outbox.writer.servers.named("plant") == server
