"""Our own disk refuses, or the outbox is somebody else's: a clear error, and nothing accepted is lost.

What needs a small or a read-only file system runs in a process with a mount of its own (`unshare`), which changes
nothing on this system.
"""

import shutil
import subprocess
import sys
import textwrap

import pytest

from iris_communication.errors import OutboxInUse
from iris_communication.sftp_uploader_thread import SftpUploaderThread

IN_ITS_OWN_MOUNT = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


@pytest.fixture
def in_a_mount(tmp_path, need_program):
    """Run Python code with `folder`, an empty place to mount on; what it prints."""
    need_program("unshare", hint="it comes with util-linux")
    folder = tmp_path / "mounted"
    folder.mkdir()

    def run(mount, code):
        script = tmp_path / "script.py"
        script.write_text(f"folder = {str(folder)!r}\n" + textwrap.dedent(code))
        command = f"{mount.format(folder=folder)} && exec {sys.executable} {script}"
        ended = subprocess.run([*IN_ITS_OWN_MOUNT, command], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines(), ended.stderr

    return run


def test_an_outbox_that_another_process_holds_is_refused_with_that_processs_id(tmp_path):
    code = (
        "import sys; from iris_communication.sftp_uploader_thread import SftpUploaderThread as U\n"
        f"u = U({str(tmp_path / 'outbox')!r}); u.start(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        uploader = SftpUploaderThread(tmp_path / "outbox")
        with pytest.raises(OutboxInUse, match=f"process {other.pid}") as raised:
            uploader.start()
        assert "another folder" in raised.value.hint
        other.kill()
        other.wait(10)
    uploader.start()  # the lock went with its process
    uploader.close()


def test_a_read_only_folder_is_a_clear_error_at_start(in_a_mount):
    printed, _ = in_a_mount(
        "mount -t tmpfs -o size=1M tmpfs {folder} && mkdir {folder}/outbox && mount -o remount,ro {folder}",
        """
        from iris_communication.errors import OutboxStorageError
        from iris_communication.sftp_uploader_thread import SftpUploaderThread
        try:
            SftpUploaderThread(folder + "/outbox").start()
        except OutboxStorageError as error:
            print(error, "|", error.hint)
        """,
    )
    assert "Read-only file system" in printed[0]
    assert "/outbox" in printed[0]
    assert "permissions" in printed[0]


def test_a_full_disk_under_the_outbox_refuses_loses_nothing_and_goes_on_when_there_is_room(in_a_mount, tmp_path):
    assert shutil.disk_usage(tmp_path).free > 50_000_000
    printed, log = in_a_mount(
        "mount -t tmpfs -o size=3M tmpfs {folder}",
        f"""
        import os, time
        from pathlib import Path
        from iris_communication.settings import DeliverySettings
        from iris_communication.sftp_uploader_thread import SftpUploaderThread

        sent = {{}}
        class Processor:
            go = False
            def transferData(self, info, path, settings, folder_type):
                if not self.go:
                    raise OSError("the link is down")
                sent[Path(path).name] = Path(path).read_bytes()

        ballast = Path(folder, "ballast")
        ballast.write_bytes(bytes(1_000_000))
        processor = Processor()
        uploader = SftpUploaderThread(folder + "/outbox", processor, 1000, settings=DeliverySettings(retry_cap_s=0.1))
        uploader.start()
        server = dict(host="h", username="u", password="p")
        accepted, refused = {{}}, 0
        def offer(number):
            content = os.urandom(100_000)
            path = Path({str(tmp_path)!r}, f"{{number}}.bin")
            path.write_bytes(content)
            ok = uploader.queue_upload(server, path, "p", "model")
            if ok:
                accepted[path.name] = content
            return ok
        for number in range(40):
            refused += not offer(number)
        print("refused some", 0 < refused < 40)
        stats = uploader.get_stats()
        print("counted", stats["total_queued"] == len(accepted))
        ballast.unlink()
        print("takes again", offer(99))
        processor.go = True
        deadline_s = time.monotonic() + 30
        while sent.keys() != accepted.keys() and time.monotonic() < deadline_s:
            uploader.retry_dead()
            time.sleep(0.1)
        uploader.stop()
        print("all arrived", sent == accepted, uploader.get_stats()["queue_size"])
        uploader.close()
        """,
    )
    assert printed == ["refused some True", "counted True", "takes again True", "all arrived True 0"]
    assert "No space left on device" in log or "disk is full" in log
    assert "free space" in log
