"""The servers of the matrix and what each of them does: the tests assert every entry, and docs/servers.md shows it.

What a server cannot do stands here as well. A test fails as soon as one suddenly can.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.servers.behind_sshd import (
    GesFtpServer,
    MySecureShell,
    OpenSsh,
    OpenSshWithoutExtras,
    OpenSshWithoutFolders,
    OpenSshWithoutLooking,
    OpenSshWithoutRemove,
    OpenSshWithoutRename,
    PerlSftpServer,
    ReadOnlyOpenSsh,
)
from tests.integration.servers.dropbear import Dropbear
from tests.integration.servers.erlang import ErlangSftpd
from tests.integration.servers.libraries import AsyncSsh, Paramiko, Ssh2
from tests.integration.servers.proftpd import ProFtpd, ProFtpdThatOverwrites
from tests.integration.servers.program import ServerProgram
from tests.integration.servers.rclone import Rclone

ALL = frozenset({"posix-rename", "statvfs", "limits"})
NOTHING = frozenset[str]()


@dataclass(frozen=True, slots=True)
class ServerRow:
    """`package` holds the program, `needs` are its files, or programs by name. `every_run`: also `make test` starts it.

    `extensions` are those announced that are of use to us. `rename` and `posix_rename`: what becomes of a name that
    something has ("replaces", "refuses"; "not allowed": also of a free one). `open_files`: at once, None: 128 and more.
    `resumes`: a file that is there can be written on. `attributes`: it "sets", "refuses" or "ignores" permissions and
    times. `in_place`: takes files straight under their names, also where it lets nothing be renamed.
    `delivers` and `health` are "" or part of the error instead. Names are kinds of tests/integration/awkward.py.
    """

    name: str
    start: Callable[[Path], ServerProgram | OpenSsh]
    package: str
    needs: tuple[str, ...]
    software: str  # how its greeting begins
    every_run: bool = False
    host_key: str = "ssh-ed25519"
    extensions: frozenset[str] = ALL
    rename: str = "refuses"
    posix_rename: str = "replaces"
    open_files: int | None = None
    distinct_handles: bool = True
    free_space: bool = True
    looks: bool = True
    removes: bool = True
    makes_folders: bool = True
    resumes: bool = True
    attributes: str = "sets"
    in_place: bool = True
    delivers: str = ""
    health: str = ""
    names_refused: frozenset[str] = NOTHING
    names_changed: frozenset[str] = NOTHING


SSHD = "/usr/sbin/sshd"

ROWS = (
    ServerRow("OpenSSH", OpenSsh, "openssh-server", (SSHD,), "OpenSSH_", every_run=True),
    ServerRow(
        "OpenSSH, third version alone (-P)",
        OpenSshWithoutExtras,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        extensions=NOTHING,
        free_space=False,
        posix_rename="not allowed",
        attributes="refuses",
    ),
    ServerRow(
        "OpenSSH, looking forbidden (-P)",
        OpenSshWithoutLooking,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        looks=False,
        resumes=False,
    ),
    ServerRow(
        "OpenSSH, removing forbidden (-P)",
        OpenSshWithoutRemove,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        removes=False,
        health="cannot remove",
    ),
    ServerRow(
        "OpenSSH, no new folders (-P)",
        OpenSshWithoutFolders,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        makes_folders=False,
    ),
    ServerRow(
        "OpenSSH, renaming forbidden (-P)",
        OpenSshWithoutRename,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        extensions=ALL - {"posix-rename"},
        rename="not allowed",
        posix_rename="not allowed",
        delivers="cannot rename the finished file to",
        health="cannot rename a file in",
    ),
    ServerRow(
        "OpenSSH, read-only (-R)",
        ReadOnlyOpenSsh,
        "openssh-server",
        (SSHD,),
        "OpenSSH_",
        extensions=frozenset({"statvfs", "limits"}),
        rename="not allowed",
        posix_rename="not allowed",
        open_files=0,
        in_place=False,
        delivers="cannot create",
        health="cannot create a file in",
        resumes=True,
    ),
    ServerRow(
        "Dropbear with OpenSSH's sftp-server",
        Dropbear,
        "dropbear-bin",
        ("dropbear", "dropbearconvert", "/usr/lib/sftp-server", "libnss_wrapper.so"),
        "dropbear_",
    ),
    ServerRow(
        "ProFTPD with mod_sftp",
        ProFtpd,
        "proftpd-mod-crypto",
        ("proftpd", "/usr/lib/proftpd/mod_sftp.so"),
        "mod_sftp",
        host_key="ssh-rsa",
        extensions=frozenset({"posix-rename", "statvfs"}),
        resumes=False,
    ),
    ServerRow(
        "ProFTPD with mod_sftp, AllowOverwrite on",
        ProFtpdThatOverwrites,
        "proftpd-mod-crypto",
        ("proftpd", "/usr/lib/proftpd/mod_sftp.so"),
        "mod_sftp",
        host_key="ssh-rsa",
        extensions=frozenset({"posix-rename", "statvfs"}),
    ),
    ServerRow(
        "MySecureShell",
        MySecureShell,
        "mysecureshell",
        (SSHD, "mysecureshell"),
        "OpenSSH_",
        extensions=frozenset({"statvfs"}),
        rename="replaces",
        posix_rename="not allowed",
        open_files=100,
        free_space=False,
    ),
    ServerRow(
        "rclone serve sftp",
        Rclone,
        "rclone",
        ("rclone",),
        "rclone/",
        extensions=frozenset({"posix-rename", "statvfs"}),
        rename="replaces",
        free_space=False,
        resumes=False,
        attributes="ignores",
    ),
    ServerRow(
        "gesftpserver",
        GesFtpServer,
        "gesftpserver",
        (SSHD, "/usr/libexec/gesftpserver"),
        "OpenSSH_",
        extensions=frozenset({"posix-rename", "statvfs"}),
    ),
    ServerRow(
        "Net::SFTP::SftpServer",
        PerlSftpServer,
        "libnet-sftp-sftpserver-perl",
        (SSHD, "perl", "/usr/share/perl5/Net/SFTP/SftpServer.pm"),
        "OpenSSH_",
        extensions=NOTHING,
        free_space=False,
        rename="replaces",
        posix_rename="not allowed",
        attributes="refuses",
    ),
    ServerRow(
        "Erlang's ssh_sftpd, 16 handles",
        ErlangSftpd,
        "erlang-ssh",
        ("erl", "/usr/lib/erlang/lib/ssh-*/ebin/ssh_sftpd.beam"),
        "Erlang/",
        extensions=NOTHING,
        free_space=False,
        posix_rename="not allowed",
        open_files=16,
        distinct_handles=False,
        names_refused=frozenset({"no text"}),
        resumes=False,
    ),
    ServerRow("asyncssh", AsyncSsh, "asyncssh", (), "AsyncSSH_", every_run=True),
    ServerRow(
        "paramiko",
        Paramiko,
        "paramiko",
        (),
        "paramiko_",
        extensions=NOTHING,
        free_space=False,
        posix_rename="not allowed",
        names_refused=frozenset({"no text"}),
        attributes="refuses",
    ),
    ServerRow(
        "ssh2 of npm",
        Ssh2,
        "ssh2",
        ("node", str(Ssh2.modules / "ssh2" / "package.json")),
        "ssh2js",
        extensions=NOTHING,
        free_space=False,
        rename="replaces",
        posix_rename="not allowed",
        names_changed=frozenset({"no text"}),
        attributes="refuses",
    ),
)
