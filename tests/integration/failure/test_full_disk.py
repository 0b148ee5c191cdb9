"""A server's disk that is full: a real one, in a name space of its own."""

from tests.integration.namespace import run_with_disks_of_its_own

FULL_SERVER = """
import asyncio, threading
import asyncssh
from tests.integration.uploading import *

class OpenSshSftp(asyncssh.SSHServerSession):
    # OpenSSH's own program at the end of a channel, because its sshd cannot run in such a space.

    def connection_made(self, channel):
        self.channel, self.waiting, self.program = channel, [], None

    def subsystem_requested(self, subsystem):
        return True

    def session_started(self):
        asyncio.get_running_loop().create_task(self.serve())

    def data_received(self, data, datatype):
        self.program.stdin.write(data) if self.program else self.waiting.append(data)

    async def serve(self):
        self.program = await asyncio.create_subprocess_exec(
            sys.argv[2], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self.program.stdin.writelines(self.waiting)
        while data := await self.program.stdout.read(65536):
            self.channel.write(data)

class AnyPassword(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True

    def session_requested(self):
        return OpenSshSftp()

def serve(key, ready):
    async def serving():
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=AnyPassword, server_host_keys=[key], encoding=None
        )
        ready.append(acceptor.get_port())
        await asyncio.Event().wait()
    asyncio.run(serving())

key, ready = asyncssh.generate_private_key("ssh-ed25519"), []
threading.Thread(target=serve, args=(key, ready), daemon=True).start()
wait_until(lambda: ready)
disk, sources = folder / "server", folder / "sources"
small_disk(disk, "512k")
sources.mkdir()
info = {"host": "127.0.0.1", "port": ready[0], "username": "iris", "password": "any",
        "host_key": key.export_public_key().decode(), "remote_directory": str(disk / "in")}
files = small_files(40, size_bytes=30_000)
target, collected = disk / "in" / "line-1" / "model", {}

def collect():
    # Somebody takes away what has arrived, and so makes room.
    for path in target.iterdir():
        if not path.name.startswith(".iris-"):
            collected[path.name] = path.read_bytes()
            path.unlink()

with running(folder / "outbox") as uploader:
    receipts = submit_all(uploader, info, files, sources)
    wait_until(lambda: destination_of(uploader)["link"] == "down")
    report(destination=destination_of(uploader), stats=uploader.get_stats())
    while uploader.get_stats()["queue_size"]:
        time.sleep(0.05)
        collect()
    wait_for(receipts.values())
    collect()
    report(end=uploader.get_stats(), whole=collected == files, left=[path.name for path in target.iterdir()])
"""


def test_a_full_disk_on_the_server_pauses_delivery_until_there_is_room(tmp_path, need_program):
    places = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"]
    program = need_program(*places, hint="make system-packages")
    facts, logged = run_with_disks_of_its_own(FULL_SERVER, tmp_path, program)
    assert "the server's disk is full" in facts["destination"]["reason"]
    assert "free space or raise the quota on the server" in facts["destination"]["hint"]
    assert facts["stats"]["total_failed"] == 0
    assert facts["whole"]
    assert facts["left"] == []
    assert facts["end"] == {"total_queued": 40, "total_uploaded": 40, "total_failed": 0, "queue_size": 0}
    assert "takes nothing: the server's disk is full" in logged
