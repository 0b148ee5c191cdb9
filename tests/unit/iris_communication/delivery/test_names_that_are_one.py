"""Names that the server's disk takes for one, while its RENAME replaces: each file arrives, or fails with a reason."""

import itertools
import unicodedata

import pytest

from iris_communication.errors import IrisError, RemoteNameKept, RemoteNameRefused, RemoteNameTaken
from iris_communication.settings import Server
from iris_communication.sftp import wire
from iris_communication.testing.naming_servers import FoldsNames
from tests.unit.iris_communication.delivery.carrier_line import CarrierLine, run

COMPOSED = "/in/M\u00fcller.csv"
PAIRS = [
    ("/in/A.csv", "/in/a.csv"),
    (COMPOSED, unicodedata.normalize("NFD", COMPOSED)),
    ("/in/a.csv", "/in/a.csv."),
    ("/in/a.csv", "/in/a.csv "),
    ("/in/Sub/a.csv", "/in/sub/a.csv"),
    ("/in/a.csv", "/in//a.csv"),
]
SOFTWARE = ["AsyncSSH_2.24", "Go", "SFTPGo_2.6", ""]
each_pair = pytest.mark.parametrize("paths", PAIRS, ids=range(len(PAIRS)))


def items_of(line, paths):
    return [line.item(number, b"%d\n" % number, remote_path=path) for number, path in enumerate(paths)]


def everything_arrived(line, items, outcomes):
    """Each file is where its outcome says, with its own bytes, and nothing else is there."""
    for number, (_, delivered) in enumerate(zip(items, outcomes, strict=True)):
        assert not isinstance(delivered, Exception), delivered
        assert line.server.content(delivered.final_path.encode()) == b"%d\n" % number
    assert len(line.server.files) == len(items)


@pytest.mark.parametrize("marker", ["", ".done", ".sha256"])
@pytest.mark.parametrize("software", SOFTWARE)
@each_pair
def test_files_under_way_together_all_arrive(tmp_path, paths, software, marker):
    line = CarrierLine(tmp_path, FoldsNames(software=software), marker=marker)

    async def story():
        line.transport.round_trip_s = 0.1
        items = items_of(line, paths)
        outcomes = await line.carry(*items)
        if marker:
            markers = [path for path in line.server.files if path.endswith(marker.encode())]
            assert len(markers) == len(items)
            for path in markers:
                del line.server.files[path]
        everything_arrived(line, items, outcomes)

    run(line, story)


@each_pair
def test_files_under_way_one_after_the_other_all_arrive(tmp_path, paths):
    line = CarrierLine(tmp_path, FoldsNames())

    async def story():
        items = items_of(line, paths)
        everything_arrived(line, items, [(await line.carry(item))[0] for item in items])

    run(line, story)


@each_pair
def test_files_all_arrive_though_the_process_ended_in_between(tmp_path, paths):
    server, delivered = FoldsNames(), []
    for number, path in enumerate(paths):
        line = CarrierLine(tmp_path, server)

        async def story(line=line, number=number, path=path):
            delivered.extend(await line.carry(line.item(number, b"%d\n" % number, remote_path=path)))

        run(line, story)
    assert [server.content(each.final_path.encode()) for each in delivered] == [b"0\n", b"1\n"]


@pytest.mark.parametrize(("conflict", "kind"), [("fail", RemoteNameTaken), ("keep", RemoteNameKept)])
@each_pair
def test_a_file_that_does_not_arrive_fails_with_the_reason(tmp_path, paths, conflict, kind):
    line = CarrierLine(tmp_path, FoldsNames(), conflict=conflict)

    async def story():
        outcomes = await line.carry(*items_of(line, paths))
        assert [type(outcome) for outcome in outcomes if isinstance(outcome, IrisError)] == [kind]
        assert len(line.server.files) == 1

    run(line, story)


def test_a_host_that_is_spelt_in_two_ways_is_one_machine(tmp_path):
    line = CarrierLine(tmp_path, FoldsNames())
    line.resolve = lambda key, inner=line.resolve: (
        Server(key.partition("@")[2].partition(":")[0], "iris"),
        inner(key)[1],
    )

    async def story():
        line.transport.round_trip_s = 0.1
        items = [
            line.item(0, b"0\n", remote_path="/in/a.csv", server_key="iris@one:22"),
            line.item(1, b"1\n", remote_path="/in/A.csv", server_key="iris@other-name-of-one:22"),
        ]
        everything_arrived(line, items, await line.carry(*items))
        assert line.transport.attempts == 2

    run(line, story)


def test_many_spellings_all_arrive(tmp_path):
    line = CarrierLine(tmp_path, FoldsNames())

    async def story():
        line.transport.round_trip_s = 0.1
        spellings = ["".join(letters) for letters in itertools.product("aA", "bB", "cC")]
        items = items_of(line, [f"/in/{spelling}.csv" for spelling in spellings])
        everything_arrived(line, items, await line.carry(*items))

    run(line, story)


def test_the_check_of_the_name_costs_no_round_trip(tmp_path):
    line = CarrierLine(tmp_path, FoldsNames())

    async def story():
        line.transport.round_trip_s = 0.1
        await line.carry(line.item(0))
        begun_s = line.clock.monotonic_s()
        await line.carry(line.item(1))
        assert line.clock.monotonic_s() - begun_s == pytest.approx(0.3, abs=0.01)  # OPEN, WRITE to STAT, RENAME
        assert line.server.asked.count(wire.Stat(b"/in/1.csv")) == 1

    run(line, story)


def test_files_of_other_names_do_not_wait_for_each_other(tmp_path):
    line = CarrierLine(tmp_path, FoldsNames())

    async def story():
        line.transport.round_trip_s = 0.1
        await line.carry(line.item(99))
        begun_s = line.clock.monotonic_s()
        await line.carry(*(line.item(number) for number in range(30)))
        assert line.clock.monotonic_s() - begun_s == pytest.approx(0.3, abs=0.01)

    run(line, story)


@pytest.mark.parametrize("marker", [".done", ".sha256"])
@pytest.mark.parametrize("spelling", ["/in/a.csv{}", "/in/A.CSV{}", "/in/b{}", "/in/a.csv{}."])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_a_file_that_has_the_name_of_a_marker_is_refused_and_no_delivered_one_is_replaced(
    tmp_path, marker, spelling, is_first
):
    line = CarrierLine(tmp_path, FoldsNames(), marker=marker)
    named_so, usual = (spelling.format(marker.upper()), "/in/a.csv")

    async def story():
        files = items_of(line, [named_so, usual] if is_first else [usual, named_so])
        outcomes = [(await line.carry(item))[0] for item in files]
        refused, delivered = outcomes if is_first else reversed(outcomes)
        assert isinstance(refused, RemoteNameRefused)
        assert marker in refused.hint
        assert line.server.content(b"/in/a.csv") == (b"1\n" if is_first else b"0\n")
        assert delivered.final_path == "/in/a.csv"

    run(line, story)
