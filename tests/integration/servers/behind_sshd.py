"""Programs that speak SFTP behind OpenSSH's sshd, and OpenSSH's own with this or that forbidden.

A forced command takes the place of the subsystem that a client asks for: sshd leaves the rest to it.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from tests.integration.servers.program import HELD_BY_MODES, held_by_modes
from tests.servers.openssh import OpenSshServer

SSHD = "/usr/sbin/sshd"


class OpenSsh(OpenSshServer):
    """As it comes. `arguments` are those of its sftp-server."""

    arguments: Sequence[str] = ()

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        self.prefix = str(self.root)
        sshd = folder / "sshd-held-by-modes"
        sshd.write_text(f'#!/bin/sh\nexec {shlex.join(held_by_modes())} {SSHD} "$@"\n')
        sshd.chmod(0o700)
        settings = self.settings(folder)
        super().__init__(folder / "sshd", sshd=sshd, subsystem_arguments=self.arguments, settings=settings)

    def settings(self, folder: Path) -> list[str]:
        return []


class ReadOnlyOpenSsh(OpenSsh):
    arguments = ("-R",)


class OpenSshWithoutExtras(OpenSsh):
    """Nothing that the third version of the protocol does not know, and no attribute may be set."""

    arguments = (
        "-P",
        "posix-rename,fsync,setstat,fsetstat,lsetstat,statvfs,fstatvfs,hardlink,limits,expand-path,copy-data",
    )


class OpenSshWithoutRename(OpenSsh):
    arguments = ("-P", "rename,posix-rename")


class OpenSshWithoutLooking(OpenSsh):
    """A drop box: no client can list it."""

    arguments = ("-P", "stat,lstat,fstat,opendir,readdir,read")


class OpenSshWithoutRemove(OpenSsh):
    arguments = ("-P", "remove")


class OpenSshWithoutFolders(OpenSsh):
    arguments = ("-P", "mkdir")


class GesFtpServer(OpenSsh):
    """Green End's: several threads, real texts, extensions whose value is empty; and it ends with 240 files open."""

    def settings(self, folder: Path) -> list[str]:
        return ["ForceCommand /usr/libexec/gesftpserver"]


PERL = """
use strict;
use warnings;
use Net::SFTP::SftpServer ( { log => 'user' }, qw( :LOG :ACTIONS ) );
Net::SFTP::SftpServer->new( home => $ARGV[0] )->run();
"""


class PerlSftpServer(OpenSsh):
    """Net::SFTP::SftpServer: one request at a time, no extensions, and no attribute may be set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prefix = ""

    def settings(self, folder: Path) -> list[str]:
        script = folder / "server.pl"
        script.write_text(PERL)
        # It keeps every user below home, and takes any folder below the user's own home for such a one.
        return [f"ForceCommand HOME={shlex.quote(str(folder))} exec perl {shlex.quote(str(script))} {self.root}"]


MY_SECURE_SHELL = """
<Default>
    Home {root}
    StayAtHome true
    VirtualChroot true
    LimitConnection 100
    LimitConnectionByUser 100
    LimitConnectionByIP 100
    ResolveIP false
    Upload 0
    Download 0
    LogFile {log}
</Default>
"""


class MySecureShell(OpenSsh):
    """Reads one file of settings, at a fixed path: in a name space of its own it sees another file there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prefix = ""

    def settings(self, folder: Path) -> list[str]:
        settings = folder / "sftp_config"
        settings.write_text(MY_SECURE_SHELL.format(root=self.root, log=folder / "mysecureshell.log"))
        bind = f"mount --bind {shlex.quote(str(settings))} /etc/ssh/sftp_config"
        inside = f"{bind} && exec {shlex.join(HELD_BY_MODES)} mysecureshell -c sftp-server"
        return [f"ForceCommand exec unshare --user --map-root-user --mount sh -c {shlex.quote(inside)}"]
