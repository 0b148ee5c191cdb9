"""What is learned of servers outlives the process, and never keeps anything from being delivered."""

import json
import logging

import pytest

from iris_communication.outbox.known_servers import FILE_NAME, KnownServers

KEY = "iris@one:22"


def test_what_was_learned_is_known_to_the_next_process(tmp_path):
    KnownServers(tmp_path).remember(KEY, software="OpenSSH_9.2", learned_s=1.0)
    KnownServers(tmp_path).remember(KEY, one_write=True)
    assert KnownServers(tmp_path).of(KEY) == {"software": "OpenSSH_9.2", "learned_s": 1.0, "one_write": True}
    assert KnownServers(tmp_path).of("other") == {}


def test_no_news_writes_nothing(tmp_path):
    known = KnownServers(tmp_path)
    known.remember(KEY, software="OpenSSH_9.2", learned_s=1.0, round_trip_ms=2.0)
    before = (tmp_path / FILE_NAME).stat().st_ino
    known.remember(KEY, software="OpenSSH_9.2", learned_s=9.0, round_trip_ms=9.0)
    assert (tmp_path / FILE_NAME).stat().st_ino == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"iris@one:22": 5}'])
def test_a_file_that_makes_no_sense_counts_as_empty(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)
    known = KnownServers(tmp_path)
    assert known.of(KEY) == {}
    known.remember(KEY, software="x")
    assert json.loads((tmp_path / FILE_NAME).read_text())[KEY] == {"software": "x"}


def test_a_folder_that_cannot_be_written_to_is_said_once(tmp_path, caplog):
    known = KnownServers(tmp_path / "not-there")
    with caplog.at_level(logging.WARNING):
        known.remember(KEY, software="x")
        known.remember(KEY, software="y")
    assert len(caplog.records) == 1
