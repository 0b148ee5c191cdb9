"""`iris queue` on an outbox at rest, in this process: the answer to each order."""

import contextlib
import json
import os
import re

import pytest
from typer.testing import CliRunner

from iris_camera.cli.queue import application
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest

SECRET = "open sesame"
NOWHERE = {"host": "127.0.0.1", "port": 9, "username": "line", "password": SECRET, "remote_directory": "/in"}
NOWHERE_KEY = "line@127.0.0.1:9"


class Iris:
    """The command, as if from a terminal that is so many columns wide, or from a script."""

    def __init__(self, outbox):
        self.outbox = outbox

    def __call__(self, *arguments, columns=None):
        environment = {"IRIS_OUTBOX": str(self.outbox), "COLUMNS": columns and str(columns)}
        return CliRunner().invoke(application, arguments, env=environment)

    def output(self, *arguments, status=0, **options):
        done = self(*arguments, **options)
        assert (done.exit_code, done.stderr) == (status, "")
        return done.stdout


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def iris(outbox):
    return Iris(outbox)


@pytest.fixture
def left(outbox, tmp_path):
    """The ids of two that wait and one that is dead; no uploader runs."""
    uploader = SftpUploaderThread(outbox)
    uploader.open()
    ids = [accepted(uploader, tmp_path / name) for name in ("1.csv", "2.csv")]
    ids.append(uploader.submit(SftpUploadRequest(NOWHERE, tmp_path / "missing.csv", "line-1", "model")).id)
    uploader.close()
    return ids


def accepted(uploader, path):
    path.write_bytes(b"frame;part\n1;1\n")
    return uploader.submit(SftpUploadRequest(NOWHERE, path, "line-1", "model")).id


def states(iris):
    items = map(json.loads, iris.output("list", "--state", "all", "--json").splitlines())
    return {item["id"]: item["state"] for item in items}


def test_every_order_is_carried_out_with_no_uploader(iris, left):
    first, second, dead = left
    assert iris.output("priority", "9", first, second) == "2 files have priority 9\n"
    iris.output("pause", NOWHERE_KEY)
    assert f"{NOWHERE_KEY} is paused" in iris.output("list")
    iris.output("resume", NOWHERE_KEY)
    assert iris.output("drop", first, "--yes") == "1 file is dropped\n"
    assert states(iris) == {first: "dropped", second: "waiting", dead: "dead"}
    assert iris.output("drop", "--dead", "--server", NOWHERE_KEY, "--yes") == "1 file is dropped\n"
    assert iris.output("drop", "--all", "--yes", "--json") == f'{{"id": "{second}", "done": true, "why": ""}}\n'
    assert set(states(iris).values()) == {"dropped"}
    assert "balances" in iris.output("balance")


def test_an_item_that_is_left_as_it_is_is_reported_with_status_1(iris, left):
    first, _, dead = left
    printed = iris.output("retry", first, dead, "nonsense", status=1).splitlines()
    assert [line.partition(":")[0] for line in printed] == [first, dead, "nonsense", "0 files wait again"]
    printed = iris.output("retry", first, "nonsense", "--json", status=1).splitlines()
    assert [(each["id"], each["done"]) for each in map(json.loads, printed)] == [
        (first, False),
        ("nonsense", False),
    ]


def test_one_dead_file_does_not_stop_an_order_for_the_others(iris, left):
    printed = iris.output("retry", "--all", status=1)
    assert printed.startswith(f"{left[2]}: its source was never taken over")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("show", "nonsense"), 1, "no item has an id"),
        (("show", "0"), 1, "3 ids or more begin with '0'"),
        (("list", "--state", "lost"), 2, "no state 'lost': there are waiting"),
        (("list", "--server", "nobody"), 2, f"no server 'nobody'; it has {NOWHERE_KEY}"),
        (("pause", "nobody"), 2, "no server 'nobody'"),
        (("retry",), 2, "which?"),
        (("retry", "--all", "--server", NOWHERE_KEY), 2, "not both"),
        (("drop", "--all", "--dead"), 2, "not both"),
        (
            ("drop", "--all"),
            2,
            "3 files (2 waiting, 1 dead), 30 bytes: given up for good\niris queue drop: there is no terminal to ask on",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_order_that_cannot_be_done_is_reported_and_changes_no_item(iris, left, arguments, status, says):
    before = states(iris)
    done = iris(*arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert says in done.stderr
    assert states(iris) == before


@pytest.mark.parametrize("verb", [("list",), ("show", "a"), ("retry", "a"), ("drop", "--all"), ("pause", "a")], ids=str)
def test_no_outbox_is_made_where_there_is_none(iris, outbox, verb):
    done = iris(*verb)
    assert done.exit_code == 2
    assert re.fullmatch(rf"iris queue {verb[0]}: .* does not exist or is no folder: .*\n", done.stderr)
    assert not outbox.exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_into_the_terminal(iris, left, columns):
    printed = iris.output("list", columns=columns).splitlines()
    assert max(map(len, printed)) <= columns
    assert any(line.endswith("/model/1.csv") for line in printed)
    assert "ID" in printed[0]


def test_json_is_an_object_a_line(iris, left):
    printed = [json.loads(line) for line in iris.output("list", "--json").splitlines()]
    assert [each["id"] for each in printed] == left
    printed = [json.loads(line) for line in iris.output("list", "--json", "--limit", "1").splitlines()]
    assert len(printed) == 1


def test_more_than_is_shown_is_reported(iris, left):
    assert iris.output("list", "--limit", "2").endswith("and more: --limit shows more than 2\n")
    assert "and more" not in iris.output("list", "--limit", "3")


def test_no_verb_prints_a_secret(iris, left, outbox):
    assert SECRET in (outbox / "secrets.json").read_text()
    first = left[0]
    verbs = [("list", "--json"), ("show", first), ("show", first, "--json"), ("priority", "1", first), ("retry", first)]
    verbs += [("pause", NOWHERE_KEY), ("list",), ("resume", NOWHERE_KEY), ("drop", first, "--yes"), ("show", first)]
    for verb in verbs:
        done = iris(*verb)
        assert SECRET not in done.output


def test_a_name_that_is_no_utf_8_is_printed_byte_for_byte(iris, outbox, tmp_path):
    uploader = SftpUploaderThread(outbox)
    uploader.open()
    item_id = accepted(uploader, tmp_path / os.fsdecode(b"\xff.csv"))
    uploader.close()
    for verb in (("list",), ("show", item_id)):
        assert b"/\xff.csv" in iris(*verb).stdout_bytes


def test_a_list_of_nothing_says_what_waits_beside_the_outbox(iris, outbox, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(SftpUploaderThread(outbox)) as uploader:
        uploader.open()
    assert iris.output("list") == "nothing\n"
    names = ["line-1_model_20260101T000000.000Z_00000001_000001.csv", "no_record.csv"]
    for folder, count in (("records", 1), ("elsewhere", 2)):
        for camera in range(count):
            ready = tmp_path / folder / f"line-{camera}" / "ready"
            ready.mkdir(parents=True)
            for name in names:
                (ready / name).touch()
    waits = "nothing; {} not accepted yet in {}: `iris run` hands over what lies there\n"
    assert iris.output("list") == waits.format("1 file", tmp_path / "records")
    monkeypatch.setenv("IRIS_RECORDS", str(tmp_path / "elsewhere"))
    assert iris.output("list") == waits.format("2 files", tmp_path / "elsewhere")
    (tmp_path / "iris.toml").write_text('[records]\nfolder = "records"\n')
    monkeypatch.delenv("IRIS_RECORDS")
    assert iris.output("list") == waits.format("1 file", "records"), "as it is given"
    (tmp_path / "iris.toml").write_text("no toml\n")
    assert iris.output("list") == "nothing\n", "what is wrong with settings that are not needed is said elsewhere"
