"""What runs beside the `ssh` program: started by its path in an interpreter of its own, never imported by us.

    run PARENT PROGRAM...       become that program, to be killed by the system the moment PARENT's thread ends: a
                                child that learns of it only by the end of its input may wait for a silent server
    ask NAME WORD...            send the words to the process that listens under that name, and print its answer

It knows no secret and decides nothing. Each question is a process of its own, so it has to start quickly: it imports
next to nothing.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9
ANSWER_MAX = 65536
CANNOT_RUN = 127


def run(parent: str, *command: str) -> None:
    import ctypes  # noqa: PLC0415 - `ask` does without

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it ended before prctl() was called
        sys.exit(CANNOT_RUN)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_RUN)


def ask(name: str, *words: str) -> None:
    import _socket  # noqa: PLC0415 - a tenth of what `socket` takes to import

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.connect("\0" + name)
        sock.send(b"\0".join(map(os.fsencode, words)))
        answer = sock.recv(ANSWER_MAX)
    except OSError:
        sys.exit(1)
    if not answer.startswith(b"+"):
        sys.exit(1)
    os.write(1, answer[1:] + b"\n")


if __name__ == "__main__":
    {"run": run, "ask": ask}[sys.argv[1]](*sys.argv[2:])
