"""The command `iris` in a process of its own, without the second that Python takes to load it.

One process loads the verbs, but not OpenCV and onnxruntime, whose threads no fork takes along. Asked for a command, it
forks: the child has the arguments, the folder, the environment and the three files it is given, and is `iris` from
there to its exit status. What starts `iris` for real, and what is sent signals, are the tests with `IrisProcess`.
"""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADED = ("example", "ledger", "outbox", "queue", "send", "server", "unpack", "watch")
SERVE = "from tests.system import forked_iris; forked_iris.serve()"


def run(*arguments, cwd, env, said=b"", text=False, timeout_s=60):
    """Like subprocess.run() of `iris` with its output captured."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(said)
        given.seek(0)
        request = {"arguments": [*map(str, arguments)], "cwd": str(cwd), "env": dict(env)}
        status = _status(request, (given, out, err), timeout_s)
        streams = [_read(file) for file in (out, err)]
    if text:
        streams = [each.decode() for each in streams]
    return subprocess.CompletedProcess(["iris", *arguments], status, *streams)


def _read(file):
    file.seek(0)
    return file.read()


def _status(request, files, timeout_s):
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout_s)
        asking.connect(_server())
        socket.send_fds(asking, [b"."], [file.fileno() for file in files])
        asking.sendall(json.dumps(request).encode())
        asking.shutdown(socket.SHUT_WR)
        with asking.makefile() as answers:
            pid = int(answers.readline())
            try:
                return int(answers.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise


@functools.cache
def _server():
    """The address of the process that forks, started for the first command of a run and ended with it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # a free name of the kernel's, not of a folder
        listening.listen()
        forking = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=listening.fileno(),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        )
        atexit.register(forking.wait, 10)
        atexit.register(forking.stdin.close)
        return listening.getsockname()


def serve():
    """Fork for each command until standard input ends. Standard output is the socket that is listened on."""
    for name in LOADED:
        import_module(f"iris_camera.cli.{name}")
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(1)) as listening:
        while listening in select.select([listening, 0], [], [])[0]:
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _attend(asking)
                return
            asking.close()


def _attend(asking):
    """Fork once more: the child becomes `iris`, the parent sends its process id and its exit status."""
    _, files, _, _ = socket.recv_fds(asking, 1, 3)
    with asking.makefile("rb") as incoming:
        request = json.loads(incoming.read())
    pid = os.fork()
    if pid == 0:
        asking.close()
        _be_iris(request, files)
        return
    asking.sendall(b"%d\n" % pid)
    asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _be_iris(request, files):
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = ["iris", *request["arguments"]]
    import_module("iris_camera.cli.main").main()
