"""Paramiko's SFTP server over a folder, as a program: `python paramiko_program.py SETTINGS`.

Paramiko brings the protocol and leaves the files to its user. These are plain calls to the system, as in its manual;
what is odd in the answers is paramiko's own: every error but three is FAILURE, and a name that is no text is refused.
"""

import json
import os
import socket
import sys
import threading
from pathlib import Path

import paramiko


class ParamikoUser(paramiko.ServerInterface):
    def __init__(self, username: str, key: paramiko.PKey) -> None:
        self._username, self._key = username, key

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == self._username and key == self._key
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class ParamikoFolder(paramiko.SFTPServerInterface):
    root = ""

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            descriptor = os.open(self._here(path), flags, 0o666)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = ParamikoHandle(flags)
        handle.readfile = handle.writefile = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb", buffering=0)
        return handle

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(self._here(path)).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def remove(self, path: str) -> int:
        return tried(os.remove, self._here(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        if os.path.lexists(self._here(newpath)):  # as paramiko's manual asks
            return paramiko.SFTP_FAILURE
        return tried(os.rename, self._here(oldpath), self._here(newpath))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return tried(os.replace, self._here(oldpath), self._here(newpath))

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        return tried(os.mkdir, self._here(path))

    def rmdir(self, path: str) -> int:
        return tried(os.rmdir, self._here(path))

    def _here(self, path: str) -> str:
        return self.root + self.canonicalize(path)


class ParamikoHandle(paramiko.SFTPHandle):
    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


def tried(act, *arguments: str) -> int:
    try:
        act(*arguments)
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno)
    return paramiko.SFTP_OK


def serve(peer: socket.socket, host_key: paramiko.PKey, user: ParamikoUser) -> None:
    transport = paramiko.Transport(peer)
    transport.add_server_key(host_key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, ParamikoFolder)
    try:
        transport.start_server(server=user)
    except (paramiko.SSHException, EOFError, OSError):
        return  # it asked whether we are there, and left


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    ParamikoFolder.root = settings["root"]
    host_key = paramiko.Ed25519Key.from_private_key_file(settings["host_key"])
    user = ParamikoUser(settings["username"], paramiko.Ed25519Key.from_private_key_file(settings["client_key"]))
    listening = socket.create_server((settings["host"], settings["port"]))
    while True:
        peer, _ = listening.accept()
        threading.Thread(target=serve, args=(peer, host_key, user), daemon=True).start()


if __name__ == "__main__":
    main()
