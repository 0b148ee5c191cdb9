"""A line beside hostile peers, each in a process of its own: no file is lost, and the log stays small.

How late frames are and how many files arrive is measured by `make bench-hostile`; it gates nothing here, where other
tests run beside it.
"""

import pytest

from benchmarks.hostile import measure
from tests.servers.openssh import OpenSshServer

SECONDS = 2.0
LOG_BYTES_MAX = 50_000
DESCRIPTORS = 300  # of a process that may not have more; the browser holds connections as long as it gets any


@pytest.mark.parametrize(
    ("kind", "descriptors"),
    [
        ("server", None),
        pytest.param("camera", None, marks=pytest.mark.long),
        pytest.param("browser", DESCRIPTORS, marks=pytest.mark.long),
    ],
)
def test_a_hostile_peer_beside_the_line_costs_no_row_and_no_file(tmp_path, need_program, kind, descriptors):
    sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd) as server:
        report = measure(kind, tmp_path / "line", server, SECONDS, descriptors=descriptors)
    assert report["frames"] > 0
    assert report["queued"] > 0
    assert (report["missing"], report["rows_lost"]) == ([], 0)
    assert report["log_bytes"] < LOG_BYTES_MAX, (tmp_path / "line" / "log").read_text()
