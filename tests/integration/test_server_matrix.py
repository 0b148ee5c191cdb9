"""One suite of behaviour on every available server: each queued file arrives whole, once, under its name, whatever
the server is like. What a server cannot do is reported, and costs only the file that needs it.

The servers and what each can do stand in tests/integration/servers/table.py. `make test` runs two of them,
`make test-all` all.
"""

import asyncio
import hashlib
import os
import posixpath
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from iris_communication.admin.server_trial import try_server
from iris_communication.errors import IrisError, RemoteFailure, RemoteRefused, Scope, SourceChanged
from iris_communication.settings import DeliverySettings
from iris_communication.sftp.trials.probe import Probe, probe
from tests.conftest import is_ci
from tests.integration.awkward import NAMES
from tests.integration.servers.facts import measure
from tests.integration.servers.matrix_line import FOLDERS, MatrixLine, asked, parameters
from tests.integration.servers.table import ALL, ROWS
from tests.integration.uploading import (
    IN_A_HURRY,
    LONG_S,
    Watch,
    balanced,
    running,
    small_files,
    submit,
    submit_all,
    wait_for,
    wait_until,
)

MIB = 1 << 20
SIZES = {"empty": 0, "one byte": 1, "one packet": 32768, "one more": 32769, "large": 3_000_001}
NEW, OLD = b"id,label\n1,good\n", b"id,label\n0,old\n"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The server of a row, started when it is first asked for; one runs at a time. The folders of its tests are there
    before, because one of them remembers what is."""
    one = []

    def start(row):
        if one and one[0] != row.name:
            one.pop().close()
            one.clear()
        if not one:
            server = row.start(tmp_path_factory.mktemp("server") / "server")
            one[:] = [row.name, server]
            for number in range(FOLDERS):
                (server.root / str(number)).mkdir()
            server.fresh = iter(range(FOLDERS))
            server.start()
        return one[1]

    yield start
    if one:
        one.pop().close()


@pytest.fixture(scope="module")
def row(request, need_program):
    found = request.param
    for need in found.needs:
        if "/" not in need and not need.endswith(".so"):
            need_program(need, hint="make system-packages")
        elif not any(Path("/").glob(need.lstrip("/") if "/" in need else f"usr/lib/*/{need}")):
            reason = f"needs {need}, which is not installed: make system-packages"
            pytest.fail(reason, pytrace=False) if is_ci() else pytest.skip(reason)
    return found


@pytest.fixture
def line(row, started):
    return MatrixLine(row, started(row))


delivering = pytest.mark.parametrize("row", parameters(row for row in ROWS if not row.delivers), indirect=True)
in_place_after_a_check = pytest.mark.parametrize(
    "row", parameters(row for row in ROWS if row.in_place and row.looks), indirect=True
)
every = pytest.mark.parametrize("row", parameters(ROWS), indirect=True)


# -- what it is like -------------------------------------------------------------------------------------------------


@every
def test_each_server_is_what_the_table_says(line):
    found = asyncio.run(measure(line.info, line.base))
    assert found.software.startswith(line.row.software)
    assert found.host_key == line.row.host_key
    assert (found.rename, found.posix_rename) == (line.row.rename, line.row.posix_rename)
    assert (found.open_files, found.distinct_handles) == (line.row.open_files, line.row.distinct_handles)


@every
def test_each_server_reports_what_the_table_says(line):
    learned, announced = asyncio.run(asked(line.info))
    useful = {f"{name}@openssh.com" for name in ALL}
    assert announced & useful == {f"{name}@openssh.com" for name in line.row.extensions}
    assert learned.replaces_in_one_step == ("posix-rename" in line.row.extensions)
    assert not learned.rename_refuses_existing or line.row.rename != "replaces", "it would overwrite"
    most = line.row.open_files or DeliverySettings().files_in_flight_max
    assert learned.files_in_flight <= most or not line.row.extensions >= {"limits"}


# -- files arrive -----------------------------------------------------------------------------------------------------


@delivering
def test_small_empty_and_large_files_arrive_as_they_are(line, uploader, sources):
    files = {f"{name}.bin": os.urandom(size_bytes) for name, size_bytes in SIZES.items()}
    with Watch(line.folder, files) as watch:
        wait_for(submit_all(uploader, line.info, files, sources).values())
    assert line.contents() == files
    assert watch.partial == []


@delivering
@pytest.mark.every_server
def test_two_thousand_at_once_arrive_whole_and_once(line, uploader, sources):
    files = small_files(2000, size_bytes=2000)
    wait_for(submit_all(uploader, line.info, files, sources).values(), timeout_s=120.0)
    assert line.contents() == files
    assert uploader.get_stats() == {"total_queued": 2000, "total_uploaded": 2000, "total_failed": 0, "queue_size": 0}


@delivering
def test_an_awkward_name_is_kept_or_refused_and_costs_no_other_file(line, uploader, sources):
    receipts = submit_all(uploader, line.info, dict.fromkeys(NAMES.values(), NEW), sources)
    refused = set()
    for kind, name in NAMES.items():
        try:
            receipts[name].wait_delivered(LONG_S)
        except IrisError:
            refused.add(kind)
    kept = {name: NEW for kind, name in NAMES.items() if kind not in refused | line.row.names_changed}
    assert refused == line.row.names_refused
    assert {name: content for name, content in line.contents().items() if name in NAMES.values()} == kept
    assert len(line.contents()) == len(NAMES) - len(refused)


@delivering
def test_missing_folders_are_made_with_all_above_them(line, uploader, sources):
    (sources / "a.csv").write_bytes(NEW)
    info = {**line.info, "remote_directory": f"{line.info['remote_directory']}/a/b/c"}
    places = [{"project": f"p{number % 10}", "folder_type": f"t{number}"} for number in range(40)]
    receipts = [submit(uploader, info, sources / "a.csv", **place) for place in places]
    if not line.row.makes_folders:
        with pytest.raises(RemoteRefused) as raised:
            receipts[0].wait_delivered(LONG_S)
        assert "a folder of the path is missing and could not be made" in raised.value.hint
        return
    wait_for(receipts)
    assert len(list((line.base / "a" / "b" / "c").glob("p?/t*/a.csv"))) == 40


# -- a name that is taken ---------------------------------------------------------------------------------------------


def submitted_over(line, uploader, sources, **settings):
    """A new file for a name that holds an old one, one that is there already, and one for a free name."""
    for name in ("taken.csv", "same.csv"):
        line.place(name, OLD)
    files = {"taken.csv": NEW, "same.csv": OLD, "free.csv": NEW}
    receipts = submit_all(uploader, {**line.info, **settings}, files, sources)
    wait_for([receipts["free.csv"]])
    return receipts


def another_name(name, content):
    return f"{name.removesuffix('.csv')}.{hashlib.sha256(content).hexdigest()[:8]}.csv"


@delivering
def test_a_taken_name_is_left_alone_and_ours_gets_another(line, uploader, sources):
    receipts = submitted_over(line, uploader, sources)
    delivered = receipts["taken.csv"].wait_delivered(LONG_S)
    wait_for(receipts.values())
    other = another_name("taken.csv", NEW)
    assert Path(delivered.final_path).name == other
    unseen = {} if line.row.looks else {another_name("same.csv", OLD): OLD}  # without STAT it is sent once more
    assert line.contents() == {"taken.csv": OLD, "same.csv": OLD, "free.csv": NEW, other: NEW, **unseen}


@delivering
def test_overwrite_replaces_what_is_there(line, uploader, sources):
    receipts = submitted_over(line, uploader, sources, conflict="overwrite")
    wait_for(receipts.values())
    assert line.contents() == {"taken.csv": NEW, "same.csv": OLD, "free.csv": NEW}


@delivering
@pytest.mark.parametrize("conflict", ["fail", "keep"])
def test_a_file_that_is_there_stays(line, uploader, sources, conflict):
    receipts = submitted_over(line, uploader, sources, conflict=conflict)
    text = "other content" if line.row.looks else "cannot rename the finished file"
    with pytest.raises(IrisError, match=text):
        receipts["taken.csv"].wait_delivered(LONG_S)
    if line.row.looks:
        wait_for([receipts["same.csv"]])
    assert line.contents() == {"taken.csv": OLD, "same.csv": OLD, "free.csv": NEW}


@delivering
@pytest.mark.parametrize("marker", [".done", ".sha256"])
def test_each_file_has_its_marker_also_where_it_replaces_another(line, uploader, sources, marker):
    for name in ("a.csv", f"a.csv{marker}"):
        line.place(name, OLD)
    files = {"a.csv": NEW, "b.csv": NEW}
    info = {**line.info, "marker": marker, "conflict": "overwrite"}
    wait_for(submit_all(uploader, info, files, sources).values())
    line_of = {name: f"{hashlib.sha256(NEW).hexdigest()}  {name}\n".encode() for name in files}
    marks = {name + marker: line_of[name] if marker == ".sha256" else b"" for name in files}
    assert line.contents() == files | marks


# -- what goes wrong --------------------------------------------------------------------------------------------------


def error_of(receipt):
    with pytest.raises(IrisError) as raised:
        receipt.wait_delivered(LONG_S)
    return raised.value


@delivering
def test_a_closed_folder_and_one_that_is_a_file_cost_their_own_files_alone(line, uploader, sources):
    closed = line.base / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    (line.base / "no-folder").write_bytes(OLD)
    (sources / "a.csv").write_bytes(NEW)
    base = line.info["remote_directory"]
    bad = [
        submit(uploader, {**line.info, "remote_directory": f"{base}/{name}", "remote_path": path}, sources / "a.csv")
        for name in ("closed", "no-folder")
        for path in ("{remote_directory}/{file_name}", "{remote_directory}/{project}/{file_name}")
    ]
    wait_for(submit_all(uploader, line.info, small_files(20), sources).values())
    errors = [error_of(receipt) for receipt in bad]
    assert all("a.csv" in str(error) and error.scope is Scope.ITEM for error in errors), errors
    assert [type(error) for error in errors[:2]] == [RemoteRefused, RemoteRefused], errors
    assert "check the user's permissions on the remote folder" in errors[0].hint
    assert {type(error) for error in errors[2:]} <= {RemoteRefused, RemoteFailure}, errors  # Erlang's gives no reason
    assert list(closed.iterdir()) == []
    assert (line.base / "no-folder").read_bytes() == OLD
    assert balanced(uploader)


@delivering
@pytest.mark.parametrize("fault", ["cut", "restart"])
def test_a_server_that_goes_and_comes_back_gets_everything_once(line, uploader, sources, fault):
    files = small_files(150, size_bytes=40_000)
    receipts = submit_all(uploader, line.info, files, sources)
    with Watch(line.folder, files) as watch:
        for uploaded in (0, 50):
            wait_until(lambda least=uploaded: uploader.get_stats()["total_uploaded"] > least)
            getattr(line.server, fault)()
        wait_for(receipts.values(), timeout_s=120.0)
    assert line.contents() == files
    assert watch.partial == []
    assert uploader.get_stats() == {"total_queued": 150, "total_uploaded": 150, "total_failed": 0, "queue_size": 0}


@delivering
def test_a_source_that_changes_while_it_is_sent_arrives_as_it_was_accepted_or_not_at_all(line, tmp_path, sources):
    """Above 1 MiB a file is linked, not copied, so that its writer can still reach the bytes. What was only added is
    not sent; what is only removed is kept by that link."""
    size_bytes = 1_500_000  # all of them take three seconds: time enough to change them on a busy machine
    contents = {name: os.urandom(size_bytes) for name in ("grows", "shrinks", "rewritten", "vanishes", "stays")}
    with running(tmp_path / "slow-outbox") as uploader:
        receipts = submit_all(uploader, {**line.info, "bandwidth_bytes_per_s": 2_500_000.0}, contents, sources)
        wait_until(lambda: line.folder.is_dir() and any(line.folder.iterdir()))
        with (sources / "grows").open("ab") as file:
            file.write(b"more")
        with (sources / "rewritten").open("r+b") as file:
            file.seek(size_bytes - 1000)
            file.write(b"other")
        os.truncate(sources / "shrinks", size_bytes // 2)
        (sources / "vanishes").unlink()
        wait_for(receipts[name] for name in ("grows", "vanishes", "stays"))
        for name in ("shrinks", "rewritten"):
            with pytest.raises(SourceChanged):
                receipts[name].wait_delivered(LONG_S)
        assert balanced(uploader)
    assert line.contents() == {name: contents[name] for name in ("grows", "vanishes", "stays")}


# -- what is done by choice --------------------------------------------------------------------------------------------


@delivering
def test_a_large_file_goes_on_after_a_cut_where_the_server_lets_us(line, uploader, sources):
    content = os.urandom(12 * MIB)
    receipts = submit_all(uploader, {**line.info, "bandwidth_bytes_per_s": 12e6}, {"large.bin": content}, sources)
    # Up to 4 MiB of it may not be acknowledged yet, and less than an acknowledged MiB is sent again.
    wait_until(lambda: any(path.stat().st_size > 6 * MIB for path in line.folder.glob(".iris-*")))
    (begun,) = line.folder.glob(".iris-*")
    os.link(begun, line.base / "begun")  # so that it stays the one with this number
    line.server.cut()
    wait_for(receipts.values(), timeout_s=120.0)
    assert line.contents() == {"large.bin": content}
    assert (line.folder / "large.bin").samefile(line.base / "begun") == line.row.resumes


@delivering
def test_a_file_in_several_streams_arrives_whole(line, tmp_path, sources):
    """Also where the server takes one byte after the other only, and lets a write wait a second for those before it."""
    content = os.urandom(17 * MIB)
    with running(tmp_path / "patient-outbox", replace(IN_A_HURRY, progress_timeout_s=10.0)) as uploader:
        wait_for(submit_all(uploader, {**line.info, "streams": 2}, {"large.bin": content}, sources).values(), 40.0)
    assert line.contents() == {"large.bin": content}


@every
def test_files_are_written_in_place_by_choice(line, uploader, sources):
    line.place("taken.csv", OLD)
    files = {"a.csv": NEW, "empty.csv": b"", "large.bin": os.urandom(300_000)}
    info = {**line.info, "in_place": True, "marker": ".done"}
    receipts = submit_all(uploader, info, files, sources).values()
    if line.row.in_place:
        wait_for(receipts)
    else:
        assert all(line.row.delivers in str(error_of(receipt)) for receipt in receipts)
        files = {}
    assert line.contents() == {"taken.csv": OLD, **files, **{f"{name}.done": b"" for name in files}}


@in_place_after_a_check
def test_the_part_that_a_cut_left_in_place_is_made_whole(line, uploader, sources):
    content = os.urandom(8 * MIB)
    info = {**line.info, "in_place": True, "bandwidth_bytes_per_s": 12e6}
    receipts = submit_all(uploader, info, {"large.bin": content}, sources)
    wait_until(lambda: line.contents() and len(line.contents()["large.bin"]) > 3 * MIB)
    line.server.cut()
    wait_for(receipts.values(), timeout_s=120.0)
    assert line.contents() == {"large.bin": content}


@delivering
def test_permissions_and_times_are_set_or_a_warning_is_reported_once(line, uploader, sources, caplog):
    info = {**line.info, "file_mode": "0640", "keep_times": True}
    for name in ("a.csv", "b.csv"):
        (sources / name).write_bytes(NEW)
        os.utime(sources / name, (1_600_000_000, 1_600_000_000))
    wait_for([submit(uploader, info, sources / name) for name in ("a.csv", "b.csv")])
    assert line.contents() == {"a.csv": NEW, "b.csv": NEW}
    found = (line.folder / "b.csv").stat()
    as_wanted = (stat.S_IMODE(found.st_mode), int(found.st_mtime)) == (0o640, 1_600_000_000)
    warnings = sum("permissions or times" in record.message for record in caplog.records)
    assert {(True, 0): "sets", (False, 1): "refuses", (False, 0): "ignores"}[as_wanted, warnings] == line.row.attributes


# -- what it cannot do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", parameters(row for row in ROWS if row.delivers), indirect=True)
def test_a_server_that_takes_no_file_says_so_and_keeps_nothing(line, uploader, sources):
    line.folder.mkdir(parents=True)
    receipts = submit_all(uploader, line.info, small_files(10), sources)
    for receipt in receipts.values():
        with pytest.raises(IrisError, match=line.row.delivers) as raised:
            receipt.wait_delivered(LONG_S)
        assert "permi" in raised.value.hint
    assert line.contents() == {}
    assert uploader.get_stats() == {"total_queued": 10, "total_uploaded": 0, "total_failed": 10, "queue_size": 0}


@every
def test_a_server_test_describes_what_will_work_and_leaves_nothing(line):
    before = set(line.base.rglob("*"))
    report = try_server(line.info)
    said = " ".join(sentence.text for sentence in report.sentences)
    assert report.works == (not line.row.delivers), said
    assert report.software.startswith(line.row.software)
    assert ("silently replaces an existing file" in said) == (line.row.rename == "replaces")
    assert ("No folder may be made" in said) == (not line.row.makes_folders)
    assert bool(re.search("cannot be written on|nothing is resumed", said)) == (not line.row.resumes)
    remote = Path(str(line.info["remote_directory"]))
    left = {line.base / Path(os.fsdecode(path)).relative_to(remote) for path in report.findings.left}
    assert set(line.base.rglob("*")) - before == left
    assert bool(left) is not line.row.removes


@every
def test_a_health_check_reports_a_fault_before_a_file_meets_it(line):
    check = Probe(os.fsencode(str(line.info["remote_directory"])), b"0123456789abcdef")
    found = asyncio.run(asked(line.info, lambda learned: probe(check, learned)))
    assert found.ok == (not line.row.health), found
    assert line.row.health in found.text
    assert ("free space" in found.done) == line.row.free_space
    left = {os.fsencode(path.name) for path in line.base.iterdir() if path.is_file()}
    assert left == {posixpath.basename(path) for path in check.leftovers}
    assert bool(left) is not line.row.removes
