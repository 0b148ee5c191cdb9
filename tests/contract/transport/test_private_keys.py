"""Private keys and their certificates: in each form that programs save, and the errors of unusable ones."""

import asyncio
import base64
import logging
import os

import asyncssh
import pytest

from iris_communication.errors import AuthenticationFailed, CredentialsUnusable
from iris_communication.settings import Secret, Server
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests.contract.transport.connecting import (
    ENCRYPTED_CLIENT_KEY,
    HINT,
    SETTINGS,
    KeepingReceiver,
    address_of,
    connects,
    fails,
)
from tests.contract.transport.in_process import listening
from tests.servers.one_user import CLIENT_KEY, HOST_KEY, RSA_HOST_KEY, OneUser, encrypted, public
from tests.servers.openssh import OpenSshServer


@pytest.mark.parametrize("name", ["id", 'id of ann\'s 100% "key"'])
@pytest.mark.parametrize("passphrase", [None, "open"])
def test_a_key_may_be_given_as_the_path_of_its_file(transport, tmp_path, name, passphrase):
    path = tmp_path / name
    path.touch(mode=0o600)
    path.write_text(encrypted(CLIENT_KEY, passphrase))

    async def test():
        async with listening() as address:
            receiver = KeepingReceiver()
            secret = Secret(private_key=str(path), passphrase=passphrase)
            (await transport.connect(Server(**address), secret, SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())


def with_its_line_breaks_as(ending):
    return lambda key: key.replace(b"\n", ending)


@pytest.mark.parametrize("kind", ["openssh", "pkcs8-pem", "pkcs1-pem"])
@pytest.mark.parametrize(
    "saved",
    [
        with_its_line_breaks_as(b"\r\n"),
        bytes.rstrip,
        lambda key: b"\xef\xbb\xbf" + key,
        lambda key: b"\n\n " + key,
        lambda key: b"  " + key.replace(b"\n", b"\n  "),
        with_its_line_breaks_as(b"\n\t"),
    ],
    ids=["CRLF", "no last line break", "byte order mark", "empty lines before", "indented", "indented but the first"],
)
def test_a_key_file_is_read_whatever_program_saved_it(transport, tmp_path, kind, saved):
    key = CLIENT_KEY if kind == "openssh" else RSA_HOST_KEY
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(saved(key.export_private_key(kind)))

    class OfThatKey(OneUser):
        pass

    OfThatKey.key = key

    async def test():
        async with listening(OfThatKey) as address:
            await connects(transport, Server(**address), Secret(private_key=str(path)))

    asyncio.run(test())


def test_a_certificate_beside_a_key_that_another_program_saved_is_shown(transport, tmp_path, need_program):
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    path, folder = tmp_path / "id", tmp_path / "sshd"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key().replace(b"\n", b"\r\n"))
    folder.mkdir()
    (folder / "authority.pub").write_text(public(authority) + "\n")
    settings = [f"TrustedUserCAKeys {folder / 'authority.pub'}"]
    with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        certificate = authority.generate_user_certificate(key, "plant", principals=[server.username])
        certificate.write_certificate(tmp_path / "id-cert.pub")
        asyncio.run(connects(transport, address_of(server), Secret(private_key=str(path))))


def test_a_certificate_beside_the_key_is_shown(transport, tmp_path, need_program):
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    path, folder = tmp_path / "id", tmp_path / "sshd"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    folder.mkdir()
    (folder / "authority.pub").write_text(public(authority) + "\n")
    settings = [f"TrustedUserCAKeys {folder / 'authority.pub'}"]
    with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        secret = Secret(private_key=str(path))
        asyncio.run(fails(transport, address_of(server), secret, AuthenticationFailed))
        certificate = authority.generate_user_certificate(key, "plant", principals=[server.username])
        certificate.write_certificate(tmp_path / "id-cert.pub")
        asyncio.run(connects(transport, address_of(server), secret))


def test_a_file_that_is_no_certificate_is_reported_by_name(tmp_path):
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(CLIENT_KEY.export_private_key())
    (tmp_path / "id-cert.pub").write_text("nonsense\n")
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(AsyncsshTransport(), server, Secret(private_key=str(path)), CredentialsUnusable))
    assert "id-cert.pub" in said


@pytest.mark.parametrize(
    "private_key",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n\u00fc\n",
        ENCRYPTED_CLIENT_KEY,
        "/does/not/exist",
        "~nobody-of-that-name/id",
        "/with\0null",
        "/",
    ],
    ids=["nonsense", "not ASCII", "passphrase missing", "no such file", "no such user", "no such name", "a folder"],
)
def test_a_key_that_cannot_be_used_is_reported_and_not_shown(transport, private_key):
    async def test():
        async with listening() as address:
            said = await fails(transport, Server(**address), Secret(private_key=private_key), CredentialsUnusable)
            assert "the private key" in said
            assert "hunter2" not in said

    asyncio.run(test())


def test_a_wrong_passphrase_is_reported_and_not_shown(transport):
    secret = Secret(private_key=ENCRYPTED_CLIENT_KEY, passphrase="guessed")

    async def test():
        async with listening() as address:
            assert "guessed" not in await fails(transport, Server(**address), secret, CredentialsUnusable)

    asyncio.run(test())


PKCS8 = asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem").decode().splitlines()[1]
PUTTY = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\nhunter2\nPrivate-MAC: 00\n"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (PUTTY, "hunter2"),
        (PUTTY.replace("\n", " "), "hunter2"),
        ("".join(CLIENT_KEY.export_private_key().decode().splitlines()[1:-1]), "b3BlbnNzaC1rZXktdjE"),
        (PKCS8, PKCS8[20:]),
        ("hunter2\nand more", "hunter2"),
    ],
    ids=["PuTTY's", "PuTTY's on one line", "OpenSSH's body", "PKCS#8's body", "of two lines"],
)
def test_the_text_of_a_key_is_never_shown_whatever_it_looks_like(transport, text, hidden, caplog):
    async def test():
        async with listening() as address:
            with pytest.raises(CredentialsUnusable, match="the private key") as caught:
                await transport.connect(Server(**address), Secret(private_key=text), SETTINGS, KeepingReceiver())
            error = caught.value
            return f"{error} {error!r} {error.__cause__!r}"

    with caplog.at_level(logging.DEBUG):
        said = asyncio.run(test())
    assert "given as text" in said or "for iris@" in said
    assert hidden not in said + caplog.text


@pytest.mark.parametrize("kind", ["pkcs1-der", "pkcs8-der"])
def test_a_key_in_binary_form_is_reported_with_the_command_that_makes_it_text(transport, tmp_path, kind):
    (tmp_path / "id").touch(mode=0o600)
    (tmp_path / "id").write_bytes(RSA_HOST_KEY.export_private_key(kind))
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, Secret(private_key=str(tmp_path / "id")), CredentialsUnusable))
    assert "binary form" in said
    assert "openssl pkey" in said


@pytest.mark.parametrize("ending", ["", "-cert.pub"])
def test_a_named_pipe_in_place_of_a_key_or_its_certificate_is_refused_at_once(transport, tmp_path, ending):
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(CLIENT_KEY.export_private_key())
    (tmp_path / f"id{ending}").unlink(missing_ok=True)
    os.mkfifo(tmp_path / f"id{ending}")
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, Secret(private_key=str(path)), CredentialsUnusable))
    assert "not a file" in said


IN_PLACE_OF_A_KEY = {
    "PuTTY's": (PUTTY, "PuTTY's (.ppk)"),
    "PuTTY's old": (PUTTY.replace("File-3", "File-2"), "PuTTY's (.ppk)"),
    "written out": (CLIENT_KEY.export_private_key().decode().replace("\n", "\\n"), "written out"),
    "public": (public(CLIENT_KEY), "public key"),
    "public with a comment": (f"{public(RSA_HOST_KEY).strip()} ann@plant", "public key"),
    "public in PEM": (CLIENT_KEY.export_public_key("pkcs8-pem").decode(), "public key"),
    "SSH2's public": (CLIENT_KEY.export_public_key("rfc4716").decode(), "public key"),
    "certificate": ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate"),
    "nothing": (" \n", "empty"),
    "in quotation marks": (f'"{CLIENT_KEY.export_private_key().decode()}"', "in quotation marks"),
    "on one line": (CLIENT_KEY.export_private_key().decode().replace("\n", " "), "lost its line breaks"),
    "without its end": (CLIENT_KEY.export_private_key().decode().rpartition("-----END")[0], "is cut short"),
    "encoded once more": (base64.b64encode(CLIENT_KEY.export_private_key()).decode(), "encoded once more"),
    "PGP's": ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----\n", "PGP's"),
}


@pytest.mark.parametrize("as_file", [False, True], ids=["as text", "as a file"])
@pytest.mark.parametrize("what", IN_PLACE_OF_A_KEY)
def test_a_text_in_place_of_a_private_key_is_reported_for_what_it_is(transport, tmp_path, what, as_file):
    text, kind = IN_PLACE_OF_A_KEY[what]
    (tmp_path / "id").touch(mode=0o600)
    (tmp_path / "id").write_text(text)
    secret = Secret(private_key=str(tmp_path / "id") if as_file else text)
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, secret, CredentialsUnusable))
    assert kind in said
    assert "hunter2" not in said
