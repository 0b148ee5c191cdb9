"""What ssh may be told, and who else may not."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys

import asyncssh
import pytest

from iris_communication.settings import Secret
from iris_communication.transport.openssh.askpass import Answers, AskpassServer
from iris_communication.transport.openssh.process import COMPANION

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD, PASSPHRASE = "correct horse", "battery staple"


def public(key):
    return key.export_public_key().decode().strip()


def answers(secret=None, judge=lambda key, searched: None):
    return Answers(secret or Secret(password=PASSWORD, passphrase=PASSPHRASE), judge)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("iris@plant's password: ", PASSWORD),
        ("(iris@plant) Password: ", PASSWORD),
        ("(iris@plant) PASSCODE: ", PASSWORD),
        ("(iris@plant) Passwort: ", PASSWORD),
        ("(iris@plant) Mot de passe : ", PASSWORD),
        ("(iris@plant) パスワード: ", PASSWORD),
        ("(iris@plant) New password: ", None),
        ("(iris@plant) One-time password: ", None),
        ("(iris@plant) Verification code: ", None),
        ("(iris@plant) Enter a 6-digit PIN: ", None),
        ("Enter passphrase for key '/x/id': ", PASSPHRASE),
        ("Enter PIN for ED25519-SK key /x/id: ", None),  # a wrong one may lock the token
        ("Enter PIN for 'token': ", None),
        ("(iris@plant) Enter passphrase for key '/x/id': ", None),
        ("(iris@plant) One-time token: ", None),
        ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", None),
        ("Allow use of key /x/id?", None),
        ("", None),
    ],
)
def test_a_prompt_is_answered_if_it_is_known_and_only_with_what_it_asks_for(prompt, answer):
    asked = answers()
    assert asked.to(["prompt", prompt]) == answer
    assert asked.asked == ([prompt.removeprefix("(iris@plant) ").strip()] if prompt.startswith("(") else [])


def test_a_prompt_that_comes_again_had_the_wrong_answer_and_gets_none():
    asked = answers()
    assert asked.to(["prompt", "iris@plant's password: "]) == PASSWORD
    assert asked.to(["prompt", "iris@plant's password: "]) is None


@pytest.mark.parametrize("text", [[], [""], ["prompt"], ["prompt", "a", "b"], ["key", "plant"], ["other", "x"]])
def test_a_question_nobody_knows_has_no_answer(text):
    assert answers().to(text or [""]) is None


def test_a_secret_of_several_lines_is_no_answer():
    assert answers(Secret(password="a\nb")).to(["prompt", "iris@plant's password: "]) is None


def test_a_host_key_is_judged_once_and_its_line_is_the_answer():
    judged = []
    asked = answers(judge=lambda key, searched: judged.append(searched))
    kind, key = public(HOST_KEY).split()
    for name in ("[plant]:2222", "plant"):
        assert asked.to(["key", name, kind, key]) == f"{name} {kind} {key}"
    assert judged == ["[plant]:2222"]
    assert asked.host_key == HOST_KEY.get_fingerprint()


def test_a_refused_host_key_has_no_line_and_the_reason_is_kept():
    asked = answers(judge=lambda key, searched: "it is another")
    assert asked.to(["key", "plant", *public(HOST_KEY).split()]) == ""
    assert (asked.refusal, asked.host_key) == ("it is another", "")


def test_a_key_that_is_none_is_not_judged():
    asked = answers(judge=lambda key, searched: pytest.fail("judged"))
    assert asked.to(["key", "plant", "NONE", "NONE"]) == ""
    assert asked.refusal is None


def test_a_stranger_who_knows_the_name_of_askpass_gets_no_answer():
    """This process is no child of the ssh the askpass serves; it is the same user's, though."""

    async def test():
        loop = asyncio.get_running_loop()
        with contextlib.closing(AskpassServer(answers())) as askpass:
            askpass.serve(os.getpid())
            stranger = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with stranger:
                stranger.setblocking(False)
                stranger.connect("\0" + askpass.name)
                with contextlib.suppress(BrokenPipeError):
                    stranger.send(b"prompt\0iris@plant's password: ")
                try:
                    return await asyncio.wait_for(loop.sock_recv(stranger, 100), 5.0)
                except ConnectionResetError:
                    return b""

    assert asyncio.run(test()) == b""


def test_a_child_of_the_ssh_it_serves_gets_its_answer():
    async def test():
        with contextlib.closing(AskpassServer(answers())) as askpass:
            askpass.serve(os.getpid())
            ask = [sys.executable, "-I", "-S", str(COMPANION), "ask", askpass.name, "prompt"]
            told = await asyncio.create_subprocess_exec(*ask, "iris@plant's password: ", stdout=subprocess.PIPE)
            refused = await asyncio.create_subprocess_exec(*ask, "what else?", stdout=subprocess.PIPE)
            return (await told.communicate())[0], told.returncode, (await refused.communicate())[0], refused.returncode

    assert asyncio.run(test()) == (f"{PASSWORD}\n".encode(), 0, b"", 1)
