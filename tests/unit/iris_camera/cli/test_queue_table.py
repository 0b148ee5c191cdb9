"""What `iris queue list` and `show` print, at the widths people have."""

from datetime import UTC, datetime

import pytest

from iris_camera.cli.queue_table import WHOLE_ID, age, halted, printable, size, story, table

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ERROR = {"error": "RemoteRefused", "message": "permission denied: /in/line-1/model", "hint": "check the permissions"}
PATH = "/in/line-1/model/2026-11-24T01-59-00Z_camera-1_model.csv"


def item(**facts):
    return {
        "id": "019ab3c4d5e6-0123456789abcdef",
        "state": "waiting",
        "sequence": 1,
        "server": "line@sftp.example.org:22",
        "source": "/records/1.csv",
        "remote_path": PATH,
        "folder_type": "model",
        "priority": 0,
        "size_bytes": 12_345,
        "accepted": "2026-11-24T01:58:00.000000Z",
        "attempts": 0,
        "may_have_arrived": False,
        "error": None,
        "ended": None,
        "reason": None,
    } | facts


def lines(*items, width=80):
    return list(table(items, NOW, width))


def test_every_line_fits_into_80_columns_and_the_file_name_is_seen():
    heading, first, second = lines(item())
    assert heading == "ID                  STATE      AGE   SIZE PRI TRIES REMOTE PATH"
    assert (
        first == "019ab3c4d5e6-012345 waiting     2m  12.3k   0     0 …01-59-00Z_camera-1_model.csv"[:52] + first[52:]
    )
    assert first.endswith("camera-1_model.csv")
    assert len(first) == 80
    assert second == "    line@sftp.example.org:22"


def test_the_whole_id_and_the_server_stand_in_one_line_of_120_columns():
    heading, first = lines(item(), width=120)
    assert heading.split() == ["ID", "STATE", "AGE", "SIZE", "PRI", "TRIES", "SERVER", "REMOTE", "PATH"]
    assert first.startswith("019ab3c4d5e6-0123456789abcdef waiting ")
    assert "line@sftp.example.org:22" in first
    assert first.endswith("camera-1_model.csv")
    assert len(first) == 120


def test_no_text_is_cut_off_without_a_width():
    long = item(remote_path="/in/" + "deep/" * 100 + "1.csv", server="a-user-of-some-length@" + "host" * 20 + ":22")
    _, first = lines(long, width=None)
    assert long["remote_path"] in first
    assert long["server"] in first


@pytest.mark.parametrize("width", [20, 52, 53, 54, 80, 109, 110, 120, 300])
def test_no_line_is_longer_than_the_terminal_where_there_is_room_at_all(width):
    many = [item(state="dead", error=ERROR, priority=-9, attempts=123, size_bytes=10**12), item(remote_path="/a")]
    assert max(len(line) for line in lines(*many, width=width)) <= max(width, 53)


@pytest.mark.parametrize("width", [80, 120])
def test_the_columns_stand_under_their_headings(width):
    heading, first, *_ = lines(item(state="in_flight", priority=-9, attempts=12), width=width)
    for name, value in (("STATE", "in flight"), ("AGE", "2m"), ("SIZE", "12.3k"), ("PRI", "-9"), ("TRIES", "12")):
        end = heading.index(name) + max(len(name), len(value))
        assert first[:end].rstrip().endswith(value), name


@pytest.mark.parametrize("width", [80, 120])
def test_the_last_error_stands_below(width):
    *_, last = lines(item(state="dead", error=ERROR), width=width)
    assert last.startswith("    ")
    assert "RemoteRefused: permission denied" in last


def test_the_reason_of_an_end_and_whether_the_file_may_have_arrived_stand_below():
    *_, last = lines(item(state="dropped", reason="the operator's word", may_have_arrived=True), width=120)
    assert last == "    the operator's word  it may have arrived all the same"


def test_a_short_id_is_the_beginning_of_a_whole_one():
    assert item()["id"].startswith(lines(item())[1].split()[0])
    assert len(item()["id"]) == WHOLE_ID


def test_no_items_are_no_heading():
    assert lines() == []


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        ("2026-11-24T02:00:10Z", "0s"),  # the clock was set back
        ("2026-11-24T01:59:01Z", "59s"),
        ("2026-11-24T01:59:00Z", "1m"),
        ("2026-11-24T01:00:01Z", "59m"),
        ("2026-11-22T03:00:00Z", "47h"),
        ("2026-11-22T02:00:00Z", "2d"),
        ("2016-11-26T02:00:00Z", "3650d"),
    ],
)
def test_an_age_is_short(since, shown):
    assert age(since, NOW) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (None, "-"),
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (10**12, "1.0T"),
        (2**63, "9.2E"),
    ],
)
def test_a_size_is_short(size_bytes, shown):
    assert size(size_bytes) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 文", "plain ü 文"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x9b31m\u202e", "\\x9b31m\\u202e"),
        ("\udcff.csv", "\udcff.csv"),  # a byte that is no UTF-8 goes out as it is
    ],
)
def test_a_sign_that_a_terminal_may_obey_is_spelt_out(text, shown):
    assert printable(text) == shown


def test_no_line_of_a_table_or_a_history_holds_what_a_terminal_may_obey():
    evil = "\x1b]0;mine\x07"
    error = dict.fromkeys(("error", "message", "hint"), evil)
    bad = item(remote_path=evil, server=evil, error=error, reason=evil, source=evil)
    history = [{"at": bad["accepted"], "event": "fail", "attempt": 1, "error": error}]
    shown = story(bad | {"history": history, "trace": evil, "delivery": None})
    assert not any("\x1b" in line or "\x07" in line for line in [*lines(bad), *lines(bad, width=None), *shown])


def test_a_history_shows_each_event_with_its_hint_and_the_last_message():
    at = "2026-11-24T01:58:00.250000Z"
    history = [
        {"at": at, "event": "accept", "attempt": 0, "error": None},
        {"at": at, "event": "fail", "attempt": 1, "error": ERROR},
        {"at": at, "event": "give_up", "attempt": 2, "error": ERROR},
        {"at": at, "event": "retry", "attempt": 2, "error": None},
        {"at": at, "event": "deliver", "attempt": 0, "error": None},
    ]
    proof = {"final_path": PATH, "size_bytes": 5, "sha256": "ab" * 32}
    shown = "\n".join(story(item() | {"history": history, "trace": "-> OPEN\n<- STATUS 3", "delivery": proof}))
    for part in (
        "  remote path       " + PATH,
        "  2026-11-24 01:58:00 UTC  accepted\n",
        "  2026-11-24 01:58:00 UTC  attempt 1 failed: RemoteRefused: permission denied: /in/line-1/model\n",
        " " * 27 + "check the permissions\n",
        "given up: dead after attempt 2: RemoteRefused",
        "waits again\n",
        f"delivered as {PATH}, 5 bytes, SHA-256 {'ab' * 32}\n",
        "  -> OPEN\n  <- STATUS 3",
    ):
        assert part in shown


def test_a_repeated_event_is_shown_once_with_how_often():
    down = {"event": "release", "attempt": 0, "error": ERROR}
    history = [{"at": f"2026-11-24T01:{minute}:00.000000Z", **down} for minute in range(10, 55)]
    history.append({"at": "2026-11-24T01:58:00.000000Z", "event": "fail", "attempt": 1, "error": ERROR})
    shown = list(story(item() | {"history": history, "trace": None, "delivery": None}))
    assert sum("broken off" in line for line in shown) == 1
    assert " " * 27 + "(45 times, the last at 2026-11-24 01:54:00 UTC)" in shown
    assert "  2026-11-24 01:58:00 UTC  attempt 1 failed: RemoteRefused" in shown[-2]


def test_a_zero_is_shown_and_a_missing_value_is_not():
    shown = "\n".join(story(item(size_bytes=0, due_in_s=12.34) | {"history": [], "trace": None, "delivery": None}))
    assert "  priority          0\n" in shown
    assert "  size bytes        0\n" in shown
    assert "  due in s          12.3\n" in shown
    assert "reason" not in shown
    assert "may have arrived" not in shown


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"paused": True}, "k is paused: iris queue resume k"),
        (
            {"held": True, "error": ERROR},
            f"k waits for its operator: {': '.join(ERROR.values())}; then: iris queue resume k",
        ),
        (
            {"error": ERROR | {"message": "\x1b"}},
            "k does not answer, and is tried again by itself: RemoteRefused: \\x1b",
        ),
        (
            {"error": {"error": "RemoteDiskFull", "message": "quota exceeded", "hint": "free space"}},
            "k takes nothing, and is tried again by itself: RemoteDiskFull: quota exceeded: free space",
        ),
    ],
    ids=["paused", "held", "open", "takes nothing"],
)
def test_a_server_that_is_sent_nothing_has_its_reason(facts, shown):
    assert halted({"server": "k", "paused": False, "held": False, "error": None} | facts) == shown
