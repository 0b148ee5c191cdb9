"""What a process that was started without any umask leaves on the disk."""

import os
import stat
import subprocess
import sys

import cv2
import numpy as np

from tests.system.iris_command import ROOT

LONGEST_S = 25


def test_no_file_that_a_run_makes_may_be_written_by_everybody_whatever_the_umask(tmp_path):
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (64, 48))
    for brightness in range(3):
        film.write(np.full((48, 64, 3), brightness, np.uint8))
    film.release()
    made = tmp_path / "made"
    for folder in (made, made / "records"):
        folder.mkdir()
        folder.chmod(0o755)
    (tmp_path / "iris.toml").write_text(
        '[cameras.line-1]\nsource = "file:film.avi"\n[inspection.detector]\nkind = "haar"\n[web]\nport = 0\n'
        f'[records]\nfolder = "{made}/records"\nheartbeat_s = 0.001\n[outbox]\nfolder = "{made}/outbox"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "iris_camera.cli.main", "run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        umask=0,
        capture_output=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert list(made.rglob("*.csv"))
    assert not [path for path in (made, *made.rglob("*")) if path.stat().st_mode & stat.S_IWOTH]
