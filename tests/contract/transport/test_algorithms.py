"""Algorithms: which are offered and in use, and what is said of a server that has only old ones."""

import asyncio
import contextlib

import pytest

from iris_communication.errors import AuthenticationFailed, LinkLost, SftpUnavailable
from iris_communication.settings import Secret, Server
from iris_communication.sftp import wire
from iris_communication.transport import algorithms
from tests.contract.transport.connecting import HINT, SETTINGS, KeepingReceiver, connects, key_of
from tests.contract.transport.in_process import listening
from tests.servers.one_user import CLIENT_KEY, PASSWORD, RSA_HOST_KEY, OneUser, public
from tests.servers.openssh import OpenSshServer

OLD_SERVERS = {
    "key exchange": ["KexAlgorithms diffie-hellman-group14-sha1"],
    "kind of host key": ["HostKeyAlgorithms ssh-rsa"],
    "cipher": ["Ciphers aes256-cbc"],
    "MAC": ["Ciphers aes128-ctr", "MACs hmac-sha1"],
}


@pytest.fixture
def old(tmp_path, need_program):
    @contextlib.contextmanager
    def server_of(*settings):
        folder = tmp_path / "old"
        folder.mkdir()
        key = folder / "rsa_host_key"
        key.touch(mode=0o600)
        key.write_bytes(RSA_HOST_KEY.export_private_key())
        settings = [f"HostKey {key}", *settings]
        with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
            pins = f"{server.host_key}\n{public(RSA_HOST_KEY)}"
            yield (
                {"host": server.host, "port": server.port, "username": server.username, "host_key": pins},
                key_of(server),
            )

    return server_of


async def unusable(transport, server, secret):
    """The error of a server that has nothing in common with us. sshd hangs up at once, and on a busy machine that may
    overtake its own message."""
    for _ in range(20):
        try:
            await transport.connect(server, secret, SETTINGS, KeepingReceiver())
        except SftpUnavailable as error:
            return error
        except LinkLost:
            continue
    raise AssertionError("no connection failed with SftpUnavailable")


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # which is why it is old
@pytest.mark.parametrize("kind", OLD_SERVERS)
def test_an_old_server_without_a_common_algorithm_is_reported_with_the_setting_that_reaches_it(transport, old, kind):
    async def test(address, secret):
        error = await unusable(transport, Server(**address), secret)
        assert f"no {kind} in common" in str(error)
        assert OLD_SERVERS[kind][-1].split()[1] in error.hint
        assert "legacy_algorithms = true" in error.hint
        receiver = KeepingReceiver()
        channel = await transport.connect(Server(**address, legacy_algorithms=True), secret, SETTINGS, receiver)
        assert channel.algorithms.legacy == [OLD_SERVERS[kind][-1].split()[1]]
        channel.close()
        await receiver.end()

    with old(*OLD_SERVERS[kind]) as (address, secret):
        asyncio.run(test(address, secret))


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("key exchange", {"kex_algs": ["ecdh-sha2-1.3.132.0.10"]}),
        ("cipher", {"encryption_algs": ["blowfish-cbc"]}),
        ("MAC", {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-md5"]}),
    ],
)
def test_a_server_that_no_setting_reaches_is_reported_with_what_to_enable_on_it(transport, kind, facts):
    async def test():
        async with listening(**facts) as address:
            error = await unusable(transport, Server(**address), Secret(password=PASSWORD))
            assert f"no {kind} in common" in str(error)
            assert "enable one of these on the server: " in error.hint

    asyncio.run(test())


class NamesNoSignatures(OneUser):
    """As servers before SHA-2: an RSA key may sign with SHA-1 alone."""

    key = RSA_HOST_KEY

    def connection_made(self, conn):
        super().connection_made(conn)
        conn._send_ext_info = lambda: None  # asyncssh has no public way to leave it out


def test_an_rsa_key_that_would_sign_with_sha1_is_not_offered_and_the_error_says_so(transport):
    secret = Secret(private_key=RSA_HOST_KEY.export_private_key().decode())

    async def test():
        async with listening(NamesNoSignatures) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), secret, SETTINGS, KeepingReceiver())
            assert "signatures of SHA-1 alone" in caught.value.hint
            said_with_the_command = caught.value.hint.partition(";")[0]  # by health, which says the rest itself
            assert "legacy_algorithms = true" in said_with_the_command
            assert "read again (kill -HUP, or a restart)" in said_with_the_command
            await connects(transport, Server(**address, legacy_algorithms=True), secret)

    asyncio.run(test())


def test_a_refused_key_of_another_kind_is_reported_without_sha1(transport):
    secret = Secret(private_key=CLIENT_KEY.export_private_key().decode())

    async def test():
        async with listening(NamesNoSignatures) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), secret, SETTINGS, KeepingReceiver())
            assert "SHA-1" not in caught.value.hint

    asyncio.run(test())


@pytest.mark.parametrize("compression", ["zlib", "zlib@openssh.com"])
def test_a_server_that_insists_on_compression_gets_it(transport, compression):
    async def test():
        async with listening(compression_algs=[compression]) as address:
            receiver = KeepingReceiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(wire.init())
            assert wire.decode_version(await receiver.packet())[0] == 3
            channel.close()
            await receiver.end()

    asyncio.run(test())


def test_no_old_algorithm_is_offered_and_the_ones_in_use_are_known(transport):
    offers = []

    class NotesOffer(OneUser):
        def begin_auth(self, username):
            offer = self.conn._client_kexinit  # asyncssh has no public name for a client's offer
            offers.append(algorithms.of_kexinit(offer))
            return super().begin_auth(username)

    async def test():
        async with listening(NotesOffer) as address:
            receiver = KeepingReceiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.algorithms.cipher == "aes128-gcm@openssh.com"
            assert channel.algorithms.mac == "implicit"
            assert channel.algorithms.host_key == "ssh-ed25519"
            assert channel.algorithms.key_exchange in offers[0].key_exchanges
            assert channel.algorithms.legacy == []
            channel.close()
            await receiver.end()

    asyncio.run(test())
    (offer,) = offers
    for names, old in zip(offer, algorithms.LEGACY, strict=True):
        assert not set(names) & set(old)
    assert not [name for names in offer for name in names if name.endswith("sha1") or "cbc" in name or "md5" in name]
