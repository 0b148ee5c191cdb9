import os

import pytest

from iris_camera.watch.mounts import sees_every_change


def mounts(folder, kind):
    device = folder.stat().st_dev
    return (
        "22 27 0:999 / /proc rw,relatime shared:5 - proc proc rw\n"
        f"30 27 {os.major(device)}:{os.minor(device)} / {folder} rw,relatime shared:1 master:2 - {kind} source rw\n"
    )


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "virtiofs"])
def test_the_kernel_does_not_notice_every_write_on_a_file_system_that_others_write_to(tmp_path, kind):
    assert not sees_every_change(tmp_path, mounts(tmp_path, kind))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat"])
def test_the_kernel_notices_every_write_on_a_file_system_of_this_machine(tmp_path, kind):
    assert sees_every_change(tmp_path, mounts(tmp_path, kind))


def test_an_unknown_file_system_counts_as_one_of_this_machine(tmp_path):
    assert sees_every_change(tmp_path / "missing", "nonsense\n\n- x")
    assert sees_every_change(tmp_path, "nonsense\n\n- x")
    assert sees_every_change(tmp_path)
