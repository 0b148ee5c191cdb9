"""A running `ssh` as a channel: bytes in, bytes out, and its end, from either side.

Nothing here waits: both pipes are non-blocking and the loop says when they are ready. What the pipe does not take is
kept and sent from the loop; the session's credit bounds how much that is, as with every channel. Little is read at
once, so that one turn of the loop is short for the program's other threads.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections import deque
from itertools import islice

from iris_communication.errors import IrisError, LinkLost
from iris_communication.settings import Server
from iris_communication.transport.algorithms import Negotiated
from iris_communication.transport.contract import Receiver
from iris_communication.transport.openssh import ssh_output
from iris_communication.transport.openssh.ssh_output import SshFailed, SshOutput

RECEIVE_MAX = 1024  # bytes in one turn of the loop: some forty answers
PIPE_SIZE_BYTES = 1 << 20  # of what ssh has still to read: fewer turns of both processes
PIECES_MAX = 64  # in one system call
STDERR_MAX = 8192
END_S = 1.0  # for the process to end once its output has
LOOK_S = 0.002  # the first pause between two checks of that
SETTLED_S = 2.0  # after which an ssh that asked for SFTP and goes on running has got it

_attended: set["asyncio.Task[None]"] = set()  # the loop itself holds its tasks weakly


class SshProgramChannel:
    """`process` is watched until it is reaped. To be used once `opened()` is over and it is `connected`."""

    keeps_alive = True

    def __init__(
        self, server: Server, process: "subprocess.Popen[bytes]", output: SshOutput, receiver: Receiver
    ) -> None:
        self.software = self.host_key = ""
        self.algorithms: Negotiated | None = None
        self.connected = False
        self._server = server
        self._process = process
        self._output = output
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes | memoryview] = deque()
        self._closed = False  # by us
        self._over = False  # the pipes are closed
        self._answered = False
        self._news = asyncio.Event()
        self._stdout_ended = asyncio.Event()
        assert process.stdin is not None, "it is given pipes for all three"
        assert process.stdout is not None
        assert process.stderr is not None
        self._pipes = (process.stdin, process.stdout, process.stderr)
        self._stdin, self._stdout, self._stderr = (pipe.fileno() for pipe in self._pipes)
        for end in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(end, False)
        with contextlib.suppress(OSError):  # the user's share of pipes may be used up
            fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, PIPE_SIZE_BYTES)
        self._loop.add_reader(self._stdout, self._receive)
        self._loop.add_reader(self._stderr, self._hear)
        self._attendance = self._loop.create_task(self._attend(), name=f"ssh to {server.key}")
        _attended.add(self._attendance)
        self._attendance.add_done_callback(_attended.discard)

    async def opened(self) -> None:
        """Wait until there is an SFTP session, or never will be."""
        while self._output.stage < ssh_output.ASKED_FOR_SFTP and not self._over:
            await self._next_news()
        # Another implementation of ssh may not report that it was accepted; one that was not ends at once.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_S):
                while self._output.stage < ssh_output.ACCEPTED and not self._over:
                    await self._next_news()
        self.connected, self.software = not self._over, self._output.software

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over or self._closed:
            return
        if not self._waiting:
            sent = self._sent([data])
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
            self._loop.add_writer(self._stdin, self._send)
        self._waiting.append(bytes(data))

    def close(self) -> None:
        """Kill it. A polite end would wait for a server that may have gone silent."""
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self._kill()
            self._stdout_ended.set()

    def _send(self) -> None:
        sent = self._sent(list(islice(self._waiting, PIECES_MAX)))
        while sent:
            first = self._waiting.popleft()
            if len(first) > sent:
                self._waiting.appendleft(memoryview(first)[sent:])
                break
            sent -= len(first)
        if not self._waiting:
            self._loop.remove_writer(self._stdin)

    def _sent(self, pieces: "list[bytes | bytearray | memoryview]") -> int:
        try:
            return os.writev(self._stdin, pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # it has ended, which its output shows
            return sum(map(len, pieces))

    def _receive(self) -> None:
        data = _read(self._stdout, RECEIVE_MAX)
        if data == b"":
            self._loop.remove_reader(self._stdout)
            self._stdout_ended.set()
        elif data is not None and not self._closed:
            self._answered = True
            self._receiver.data_received(data)

    def _hear(self) -> None:
        data = _read(self._stderr, STDERR_MAX)
        if data == b"":
            self._loop.remove_reader(self._stderr)
        elif data is not None:
            self._output.feed(data)
            self._news.set()

    async def _next_news(self) -> None:
        await self._news.wait()
        self._news.clear()

    async def _attend(self) -> None:
        """Wait for its end, which follows that of its output, or kill it; then nothing of it is left."""
        try:
            await self._stdout_ended.wait()
            wait_s, until_s = LOOK_S, self._loop.time() + END_S
            while not self._has_ended():
                if self._loop.time() > until_s:
                    self._kill()
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 0.1)
        finally:
            self._kill()  # what it started, or itself, where the loop is ending
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
            self._end()

    def _has_ended(self) -> bool:
        """Whether it has ended, without reaping it: until then no other process gets its pid, or its group's."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # a program that reaps every child has been quicker
            return self._process.poll() is not None

    def _kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> None:
        while data := _read(self._stderr, STDERR_MAX):
            self._output.feed(data)
        self._output.end()
        self._over = True
        for end in (self._stdout, self._stderr):
            self._loop.remove_reader(end)
        self._loop.remove_writer(self._stdin)
        for pipe in self._pipes:
            pipe.close()
        self._news.set()
        if self.connected:
            self._receiver.channel_lost(self._error())

    def _error(self) -> IrisError:
        server, output = self._server, self._output
        if self._closed:
            return LinkLost(f"the connection to {server.key} ended: Iris closed it")
        if output.stage < ssh_output.ACCEPTED and not self._answered:
            error = ssh_output.what_failed(output, server.key, server.host, server.port)
        else:
            error = ssh_output.what_ended(output, server.key, self._process.returncode)
        error.__cause__ = SshFailed(output.text)
        return error


def _read(descriptor: int, size: int) -> bytes | None:
    """b"": it has ended; None: there is nothing just now."""
    try:
        return os.read(descriptor, size)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""
