"""Whether the kernel sees every change in a folder: not if another machine can write to it."""

import os
from pathlib import Path

# File systems that other machines change without our kernel's knowledge, so neither events nor leases mean anything.
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "9p", "virtiofs", "vboxsf", "vmhgfs"}
REMOTE |= {"gfs2", "ocfs2", "lustre", "glusterfs", "beegfs", "gpfs", "orangefs", "coda"}
MOUNTS = Path("/proc/self/mountinfo")


def sees_every_change(folder: Path, mounts: str | None = None) -> bool:
    """True unless the file system is known to be shared. `mounts`: the content of /proc/self/mountinfo."""
    try:
        device = folder.stat().st_dev
        text = MOUNTS.read_text(encoding="utf-8", errors="replace") if mounts is None else mounts
    except OSError:
        return True
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [kind for at, kind in map(_device_and_kind, text.splitlines()) if at == number]
    return not any(kind in REMOTE or kind.startswith("fuse") for kind in kinds)


def _device_and_kind(line: str) -> tuple[str, str]:
    """Of a line as proc(5) has it: `36 35 98:0 /root /mount options optional... - kind source options`."""
    before, _, after = line.partition(" - ")
    return before.split()[2] if len(before.split()) > 2 else "", after.split()[0] if after.split() else ""
