"""Answers for the `ssh` program while it connects: password, passphrase, and whether a key is the server's.

It asks through a small program (`askpass_helper.py`), which asks us over a socket. So a secret is in no command line,
environment or file, and the host key is checked by the same code as with the other transport: pins, known_hosts and
what was accepted before mean the same with both, and a refusal reads the same.

The socket has a name and no file: a process that is killed leaves nothing behind. Its name is no secret, so the client
is checked: it has to run as our user and to be a child of the very `ssh` we started. A jump host's `ssh` is a child of
that too and inherits the environment; its questions are not answered, for the secret is the server's alone.

A prompt is the server's own text where it asks by keyboard-interactive. What is known is answered, once each: if it is
asked again, the answer was wrong, and a third wrong one may lock the account.
"""

import asyncio
import contextlib
import os
import re
import secrets
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from iris_communication.plain_text import PEER_TEXT_MAX, clean
from iris_communication.settings import Secret
from iris_communication.transport import host_keys
from iris_communication.transport.known_hosts import public_key
from iris_communication.transport.prompts import is_for_the_password
from iris_communication.transport.server_text import hidden_of, without

QUESTION_MAX = 65536
PROMPT = "prompt"  # the first word of a question: what it is about
KEY = "key"
CHANGE = "a change of the password"
OF_A_CHANGE = re.compile(r"(?:Enter|Retype) [^(].*'s (?:old|new) password: ?", re.DOTALL)


class Answers:
    """`judge` says why a host key is not trusted, or None. What was asked is remembered for the error's text."""

    def __init__(self, secret: Secret, judge: host_keys.HostKeyCheck) -> None:
        self._secret = secret
        self._judge = judge
        self._given: set[str] = set()
        self._judged: dict[str, host_keys.Refusal | None] = {}
        self.refusal: host_keys.Refusal | None = None  # of the host key
        self.host_key = ""  # the fingerprint of the one that was trusted
        self.asked: list[str] = []  # what the server itself asked for
        self.wants_new_password = False
        self.give_up: Callable[[], None] = lambda: None  # ends ssh, which waits for ever if it gets no new password

    def to(self, words: list[str]) -> str | None:
        """None: no answer."""
        about, *rest = words
        if about == PROMPT and len(rest) == 1:
            return self._asked_for(rest[0])
        if about == KEY and len(rest) == 3:
            searched, kind, key = rest
            return f"{searched} {kind} {key}" if self._trusts(f"{kind} {key}", searched) else ""
        return None

    def _asked_for(self, prompt: str) -> str | None:
        kind, answer = _meant(prompt, self._secret)
        if kind == "keyboard-interactive":
            self.asked.append(without(hidden_of(self._secret), clean(prompt.partition(") ")[2].strip(), PEER_TEXT_MAX)))
        if kind == CHANGE:
            self.wants_new_password = True
            self.give_up()
        if answer is None or kind in self._given or "\n" in answer:
            return None
        self._given.add(kind)
        return answer

    def _trusts(self, line: str, searched: str) -> bool:
        """Checked once, by the name that ssh looks for first. ssh asks again under each name that it knows the server
        by; where the first was refused, the one without the port is among them."""
        try:
            key = public_key(line)
        except ValueError:  # a certificate, say: ssh goes on to ask about the key in it
            return False
        if line not in self._judged:
            self._judged[line] = self._judge(key, searched)
        refusal = self._judged[line]
        if refusal is None:
            self.host_key = key.get_fingerprint()
        else:
            self.refusal = refusal
        return refusal is None


def _meant(prompt: str, secret: Secret) -> tuple[str, str | None]:
    """What a prompt asks for. ssh writes "(user@host) " before what the server made up, so that the server cannot
    imitate the prompts of ssh itself."""
    if prompt.startswith("Enter PIN for "):
        return "PIN", None  # our passphrase is for the key's file, and a token locks itself after a few wrong PINs
    if prompt.startswith("Enter passphrase for "):
        return "passphrase", secret.passphrase
    if OF_A_CHANGE.fullmatch(prompt):
        return CHANGE, None  # a person has to choose it
    if prompt.startswith("("):
        return "keyboard-interactive", secret.password if is_for_the_password(prompt.partition(") ")[2]) else None
    return "password", secret.password if prompt.rstrip().endswith("'s password:") else None


class AskpassServer:
    """Takes the questions of one `ssh`, until it is closed. All on the event loop's thread."""

    def __init__(self, answers: Answers) -> None:
        self.name = f"iris-ssh-{secrets.token_hex(16)}"
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._asked: set[socket.socket] = set()
        self._asker_pid = -1
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + self.name)
        self._socket.listen()

    def serve(self, asker_pid: int) -> None:
        """From now on, answer that process's children."""
        self._asker_pid = asker_pid
        self._loop.add_reader(self._socket.fileno(), self._admit)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for client in list(self._asked):
            self._dismiss(client)

    def _admit(self) -> None:
        try:
            client, _ = self._socket.accept()
        except OSError:
            return
        os.set_blocking(client.fileno(), False)
        pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid() or _parent_of(pid) != self._asker_pid:
            client.close()
            return
        self._asked.add(client)
        self._loop.add_reader(client.fileno(), self._reply, client)

    def _reply(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            question = client.recv(QUESTION_MAX).decode("utf-8", "surrogateescape")
            answer = self._answers.to(question.split("\0"))
            client.send(b"-" if answer is None else b"+" + answer.encode("utf-8", "surrogateescape"))
        self._dismiss(client)

    def _dismiss(self, client: socket.socket) -> None:
        self._loop.remove_reader(client.fileno())
        self._asked.discard(client)
        client.close()


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
