import hashlib
import json

import pytest

from iris_communication.item import After, Delivered
from iris_communication.outbox.store.ledger import GENESIS, Line, entry, first_broken, line
from iris_communication.testing.store_contract import make_item


def chain(count):
    lines, head = [], GENESIS
    for number in range(1, count + 1):
        lines.append(line(head, entry(make_item(number), delivery())))
        head = lines[-1].hash
    return lines


def delivery(**facts):
    known = {"final_path": "/in/1.csv", "size_bytes": 10, "sha256": "ab" * 32, "host_key": "SHA256:key", "at_s": 5.0}
    return Delivered(**known | facts)


def test_a_line_says_what_was_delivered_where_from_when_and_to_whom():
    times = {"accepted_s": 1_700_000_000.1234567, "durable_s": 1_700_000_000.6666667}
    item = make_item(7, attempts=2, source_path="/records/ü\udcff.csv", batch_id="archive-3", **times)
    told = json.loads(line(GENESIS, entry(item, delivery(at_s=1_700_000_009.5))).text)
    assert told == {
        "id": "item-000007",
        "sequence": 7,
        "source": "/records/ü\udcff.csv",
        "server": "iris@a.example:22",
        "host_key": "SHA256:key",
        "remote_path": "/in/line-1/model/7.csv",
        "final_path": "/in/1.csv",
        "size_bytes": 10,
        "sha256": "ab" * 32,
        "accepted_s": 1_700_000_000.123457,
        "delivered_s": 1_700_000_009.5,
        "attempts": 2,
        "durable_s": 1_700_000_000.666667,
        "batch": "archive-3",
        "folder_type": "model",
        "priority": 0,
    }


def test_a_file_that_went_by_itself_and_was_durable_nobody_knows_when_says_so():
    told = entry(make_item(1), delivery())
    assert (told["durable_s"], told["batch"]) == (None, None)
    assert "after" not in told


def test_a_line_says_what_is_to_become_of_the_source():
    told = entry(make_item(1, after=After.MOVE, move_to="/sent"), delivery())
    assert (told["after"], told["move_to"]) == ("move", "/sent")


def test_a_line_is_plain_ascii_on_one_line_whatever_the_names():
    item = make_item(1, source_path="/a\nb\udcff.csv", remote_path="/in/ü\n.csv")
    text = line(GENESIS, entry(item, delivery(final_path="/in/\u2028.csv"))).text
    assert text.isascii()
    assert text.splitlines() == [text]


def test_a_hash_covers_the_line_and_the_hash_before_it():
    first, second = chain(2)
    assert first.hash == hashlib.sha256((GENESIS + first.text).encode()).hexdigest()
    assert second.hash == hashlib.sha256((first.hash + second.text).encode()).hexdigest()


def test_the_same_delivery_gives_the_same_line():
    assert chain(3) == chain(3)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_an_untouched_chain_is_whole(count):
    assert first_broken(chain(count)) is None


@pytest.mark.parametrize("index", range(5))
def test_a_changed_line_is_found(index):
    lines = chain(5)
    lines[index] = Line(lines[index].text.replace('"attempts":0', '"attempts":1'), lines[index].hash)
    assert first_broken(lines) == index


@pytest.mark.parametrize("index", range(4))
def test_a_removed_line_is_found(index):
    lines = chain(5)
    del lines[index]
    assert first_broken(lines) == index


@pytest.mark.parametrize("index", range(5))
def test_an_added_line_is_found(index):
    lines = chain(5)
    lines.insert(index, line(GENESIS if index else "f" * 64, {"id": "made up"}))
    assert first_broken(lines) == index


def test_lines_in_another_order_are_found():
    first, second, third = chain(3)
    assert first_broken([first, third, second]) == 1
