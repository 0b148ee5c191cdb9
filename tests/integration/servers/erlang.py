"""Erlang's ssh_sftpd, as inside programs of the telephone world: so many handles and not one more.

It allows 1,000, and here 16, which is what some other servers allow.
"""

import shutil

from tests.integration.servers.program import ServerProgram, keep_private, public_line

PROGRAM = """
{ok, _} = application:ensure_all_started(ssh),
[Folder, Root, Port] = init:get_plain_arguments(),
Sftp = ssh_sftpd:subsystem_spec([{root, Root}, {cwd, "/"}, {max_handles, 16}]),
{ok, _} = ssh:daemon({127,0,0,1}, list_to_integer(Port), [
    {system_dir, Folder ++ "/host"}, {user_dir, Folder ++ "/user"}, {auth_methods, "publickey"},
    {subsystems, [Sftp]}]),
receive after infinity -> ok end.
"""


class ErlangSftpd(ServerProgram):
    def prepare(self) -> None:
        for name in ("host", "user"):
            (self.folder / name).mkdir(mode=0o700)
        keep_private(self.folder / "host" / "ssh_host_ed25519_key", self._host_key.export_private_key())
        keep_private(self.folder / "user" / "authorized_keys", f"{public_line(self._client_key)}\n".encode())

    def cut(self) -> None:
        """The only processes it has started are the virtual machine's own; without them it dies."""
        self.restart()

    def command(self) -> list[str]:
        arguments = (str(self.folder), str(self.root), str(self.port))
        return [shutil.which("erl") or "erl", "-noshell", "-noinput", "-eval", PROGRAM, "-extra", *arguments]
