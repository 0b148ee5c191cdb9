"""Which prompts of a server's are answered with the password."""

import pytest

from iris_communication.transport.prompts import is_for_the_password


@pytest.mark.parametrize(
    "prompt",
    [
        "Password:",
        "iris's Password: ",
        "(current) UNIX password:",
        "Login password: ",
        "Passcode: ",
        "Passwort:",
        "Kennwort für iris:",
        "Mot de passe\u00a0: ",
        "Contraseña:",
        "Parola d'ordine:",
        "Hasło:",
        "Пароль:",
        "密码：",  # noqa: RUF001 - so it is written
        "",
    ],
)
def test_a_prompt_in_any_language_is_for_the_password(prompt):
    assert is_for_the_password(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "One-time token: ",
        "One-time password: ",
        "Verification code: ",
        "OTP: ",
        "PIN: ",
        "Enter the 6-digit number: ",
        "New password: ",
        "Retype new password: ",
        "Confirm password: ",
        "Neues Passwort: ",
        "Username: ",
        "login: ",
        "Enter passphrase for key '/x/id': ",
    ],
)
def test_a_prompt_for_something_else_is_none_for_the_password(prompt):
    assert not is_for_the_password(prompt)
