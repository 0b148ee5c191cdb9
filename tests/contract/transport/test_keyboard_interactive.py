"""A password that is asked for by keyboard-interactive: answered once, and only where it is meant."""

import asyncio
import logging

import pytest

from iris_communication.errors import AuthenticationFailed
from iris_communication.settings import Secret, Server
from tests.contract.transport.connecting import SETTINGS, KeepingReceiver, connects, fails
from tests.contract.transport.in_process import listening
from tests.servers.one_user import PASSWORD, OneUser


class KeyboardOnly(OneUser):
    """Asks for the password by keyboard-interactive alone."""

    def password_auth_supported(self):
        return False

    def kbdint_auth_supported(self):
        return True

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Plant", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return responses == [PASSWORD]


def test_a_password_is_given_where_it_is_asked_for_by_keyboard_interactive(transport):
    async def test():
        async with listening(KeyboardOnly) as address:
            receiver = KeepingReceiver()
            (await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()
            await fails(transport, Server(**address), Secret(password="guessed"), AuthenticationFailed)

    asyncio.run(test())


def test_a_server_that_offers_keyboard_interactive_and_refuses_it_is_asked_once_and_gets_the_password(transport):
    class RefusesIt(OneUser):
        """As a sshd that knows no way to ask, and a library's server that only names it."""

        def kbdint_auth_supported(self):
            return True

        def get_kbdint_challenge(self, username, lang, submethods):
            requests.append(submethods)
            return False

    requests = []

    async def test():
        async with listening(RefusesIt) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert len(requests) == 1


def asking(*challenges, given):
    """Sends one challenge after the other, and accepts the password alone."""

    class Asks(KeyboardOnly):
        def get_kbdint_challenge(self, username, lang, submethods):
            self.left = list(challenges[1:])
            return challenges[0]

        def validate_kbdint_response(self, username, responses):
            given.append(list(responses))
            if self.left:
                return self.left.pop(0)
            return given[-1] == [PASSWORD]

    return Asks


@pytest.mark.parametrize(
    "prompt",
    ["Passwort:", "Mot de passe : ", "Contraseña: ", "Пароль: ", "パスワード:", "Hasło użytkownika iris: ", ""],
)
def test_one_hidden_prompt_in_any_language_gets_the_password(transport, prompt):
    given = []

    async def test():
        async with listening(asking(("", "", "", [(prompt, False)]), given=given)) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert given == [[PASSWORD]]


def test_a_greeting_without_a_prompt_gets_an_empty_answer(transport):
    given, greeting = [], ("", "Willkommen im Werk", "", [])

    async def test():
        async with listening(asking(greeting, ("", "", "", [("Passwort:", False)]), given=given)) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert given == [[], [PASSWORD]]


@pytest.mark.parametrize(
    "challenges",
    [
        [("", "", "", [("Passwort:", False)]), ("", "", "", [("Neues Passwort:", False)])],
        [("", "", "", [("Password:", False)]), ("", "", "", [("Verification code: ", False)])],
        [("", "", "", [("Passwort:", False)]), ("", "", "", [("Passwort:", False)])],
    ],
    ids=["a new one", "a code", "the same again"],
)
def test_a_second_prompt_gets_no_password_and_the_error_quotes_it(transport, challenges):
    given = []

    async def test():
        async with listening(asking(*challenges, given=given)) as address:
            secret = Secret(password=PASSWORD)
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert challenges[1][3][0][0].strip() in said
            assert PASSWORD not in said

    asyncio.run(test())
    assert given[0] == [PASSWORD]
    assert not [answer for answers in given[1:] for answer in answers if answer == PASSWORD]


@pytest.mark.parametrize(
    "prompts",
    [
        [("Old password:", False), ("New password:", False)],
        [("Token:", False)],
    ],
    ids=["two at once", "a token"],
)
def test_a_prompt_not_for_the_password_alone_gets_no_password_and_the_error_quotes_it(transport, prompts):
    given = []

    async def test():
        async with listening(asking(("", "", "", prompts), given=given)) as address:
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)
            assert prompts[-1][0] in said

    asyncio.run(test())
    assert not [answers for answers in given if answers == [PASSWORD] * len(prompts)]


def test_a_prompt_is_quoted_cut_and_without_terminal_sequences(transport):
    async def test():
        prompt = "\x1b]0;Kennwort\x07 " + "x" * 100_000
        async with listening(asking(("", "", "", [(prompt, False)]), given=[])) as address:
            secret = Secret(password="guessed")
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert "Kennwort" in said
            assert said.isprintable()
            assert len(said) < 1000

    asyncio.run(test())


def test_a_server_that_repeats_our_password_has_it_written_nowhere(transport, caplog):
    given = []
    challenges = [("", "", "", [("Passwort:", False)]), ("", f"You said {PASSWORD}", "", [(f"Not {PASSWORD}?", False)])]

    class SaysItBack(asking(*challenges, given=given)):
        def validate_kbdint_response(self, username, responses):
            verdict = super().validate_kbdint_response(username, responses)
            self.conn.send_auth_banner(f"{PASSWORD} was wrong\r\n")
            return verdict

    async def test():
        async with listening(SaysItBack) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, KeepingReceiver())
            error = caught.value
            return f"{error} {error.hint}"

    with caplog.at_level(logging.INFO):
        said = asyncio.run(test())
    assert given[0] == [PASSWORD]
    assert PASSWORD not in said + caplog.text
    assert PASSWORD not in repr(said)


class AsksForAOneTimeToken(KeyboardOnly):
    """Wants what no machine has."""

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Plant", "", "", [("One-time token: ", False)]

    def validate_kbdint_response(self, username, responses):
        self.answered = responses
        return False


def test_a_password_is_not_given_to_a_prompt_for_something_else(transport):
    given = []

    class Notes(AsksForAOneTimeToken):
        def validate_kbdint_response(self, username, responses):
            given.extend(responses)
            return False

    async def test():
        async with listening(Notes) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)

    asyncio.run(test())
    assert PASSWORD not in given
