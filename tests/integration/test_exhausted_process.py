"""A process without a free descriptor refuses files with that reason, and delivers those that it has afterwards."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_a_process_that_has_used_up_its_descriptors_refuses_a_file_and_gives_none_up(openssh, tmp_path, transport):
    folder = tmp_path / "received"
    folder.mkdir()
    info = {**openssh.info(folder), "remote_path": "{remote_directory}/{file_name}", "transport": transport}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.integration.exhausted_process", json.dumps(info), str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=170,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["accepted"] is False
    assert any("LimitNOFILE" in line for line in found["at_acceptance"])
    assert found["seen"]
    assert any("LimitNOFILE" in line for line in found["at_delivery"])
    assert found["stats"] == {"total_queued": 3, "total_uploaded": 3, "total_failed": 0, "queue_size": 0}
    assert sorted(path.name for path in folder.iterdir()) == ["first.csv", "second.csv", "third.csv"]
