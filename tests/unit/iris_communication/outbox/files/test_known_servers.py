"""What is learned of servers outlives the process, and never keeps anything from being delivered."""

import errno
import fcntl
import json
import logging
import os
from pathlib import Path

import pytest

from iris_communication.outbox.files import known_servers
from iris_communication.outbox.files.known_servers import FILE_NAME, KnownServers

KEY = "iris@one:22"


def test_the_next_process_knows_what_was_learned(tmp_path):
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


def test_a_word_that_another_process_says_while_we_wait_for_our_turn_is_kept(tmp_path, monkeypatch):
    ours, others = KnownServers(tmp_path), KnownServers(tmp_path)
    take = fcntl.flock

    def taken_after_another(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", take)
        others.remember(KEY, trial="theirs")
        others.remember("iris@two:22", software="two")
        take(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", taken_after_another)
    ours.remember(KEY, software="one")
    assert ours.all() == {KEY: {"trial": "theirs", "software": "one"}, "iris@two:22": {"software": "two"}}


def test_facts_are_not_written_while_another_process_writes_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(known_servers, "PATIENCE_S", 0.0)
    known = KnownServers(tmp_path)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    known.remember(KEY, software="x")
    assert list(tmp_path.iterdir()) == []
    assert "another process" in caplog.text
    os.close(folder)
    known.remember(KEY, software="x")
    assert known.of(KEY) == {"software": "x"}


def test_remembering_leaves_nothing_beside_the_file_that_others_could_trip_over(tmp_path):
    KnownServers(tmp_path).remember(KEY, software="x")
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_file_that_cannot_be_read_just_now_is_not_written_over(tmp_path, monkeypatch, caplog):
    known = KnownServers(tmp_path)
    known.remember(KEY, software="x")
    reading = Path.read_text

    def refuse(path, *arguments, **options):
        if path.name == FILE_NAME:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return reading(path, *arguments, **options)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_text", refuse)
        assert known.all() == {}
        known.remember("iris@two:22", software="y")
    assert "facts about servers are not saved" in caplog.text
    assert known.of(KEY) == {"software": "x"}


def test_facts_are_not_remembered_in_the_folder_of_another_user(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    KnownServers(tmp_path).remember(KEY, software="x")
    assert "belongs to user" in caplog.text
    assert list(tmp_path.iterdir()) == []
