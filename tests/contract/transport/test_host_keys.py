"""Whether it is the server: pinned keys, known hosts, and the policies for a server that is not known."""

import asyncio
import itertools
import logging
from pathlib import Path

import asyncssh
import pytest

from iris_communication.errors import CredentialsUnusable, HostKeyRejected, LinkError, SftpUnavailable
from iris_communication.server.facts import parse_server
from iris_communication.settings import Secret, Server
from iris_communication.transport import host_keys
from tests.contract.transport.connecting import SETTINGS, KeepingReceiver, connects, fails
from tests.contract.transport.in_process import listening
from tests.servers.one_user import CLIENT_KEY, ECDSA_HOST_KEY, HOST_KEY, PASSWORD, RSA_HOST_KEY, OneUser, public


@pytest.mark.parametrize("pin", [public(HOST_KEY), HOST_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_the_pinned_key_is_trusted(transport, pin):
    async def test():
        async with listening() as address:
            receiver = KeepingReceiver()
            server = Server(**address | {"host_key": pin})
            (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())


def test_a_server_changes_to_the_next_pinned_key_without_an_outage(transport):
    pins = f"{HOST_KEY.get_fingerprint()}\n{public(ECDSA_HOST_KEY)}"

    async def test():
        for shown in (HOST_KEY, ECDSA_HOST_KEY):
            async with listening(server_host_keys=[shown]) as address:
                receiver = KeepingReceiver()
                server = Server(**address | {"host_key": pins})
                channel = await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)
                assert channel.host_key == shown.get_fingerprint()
                channel.close()
                await receiver.end()

    asyncio.run(test())


def noting_logins(begun):
    """A server that notes the user of each login that begins."""

    class NotesLogins(OneUser):
        def begin_auth(self, username):
            begun.append(username)
            return super().begin_auth(username)

    return NotesLogins


@pytest.mark.parametrize("pin", [public(CLIENT_KEY), CLIENT_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_another_host_key_is_refused_with_both_named_before_any_credential_is_given(transport, pin):
    begun = []

    async def test():
        async with listening(noting_logins(begun)) as address:
            server = Server(**address | {"host_key": pin})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert HOST_KEY.get_fingerprint() in said
            assert CLIENT_KEY.get_fingerprint() in said

    asyncio.run(test())
    assert begun == []


@pytest.mark.parametrize("key", [HOST_KEY, ECDSA_HOST_KEY, RSA_HOST_KEY], ids=lambda key: key.get_algorithm())
def test_the_pinned_key_is_asked_for_of_a_server_with_several(transport, key):
    async def test():
        async with listening(server_host_keys=[RSA_HOST_KEY, ECDSA_HOST_KEY, HOST_KEY]) as address:
            receiver = KeepingReceiver()
            server = Server(**address | {"host_key": public(key)})
            channel = await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.host_key == key.get_fingerprint()
            channel.close()
            await receiver.end()

    asyncio.run(test())


def test_strict_trusts_the_keys_in_known_hosts_alone(transport):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": ""})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "no host_key is pinned" in said
            host_keys.KNOWN_HOSTS.parent.mkdir()
            host_keys.KNOWN_HOSTS.write_text(f"[127.0.0.1]:{server.port} {public(HOST_KEY)}")
            receiver = KeepingReceiver()
            (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()
            host_keys.KNOWN_HOSTS.write_text(f"[127.0.0.1]:{server.port} {public(CLIENT_KEY)}")
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "has another key for it" in said

    asyncio.run(test())


def test_accept_new_remembers_the_first_key_and_refuses_another(transport, tmp_path):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            for _ in range(2):
                receiver = KeepingReceiver()
                (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
                await receiver.end()
            accepted = tmp_path / "outbox" / "known_hosts"
            line = f"[127.0.0.1]:{server.port} {public(HOST_KEY)}"
            assert accepted.read_text() == line
            accepted.write_text(line.replace(public(HOST_KEY), public(CLIENT_KEY)))
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {accepted}" in said

    asyncio.run(test())


@pytest.mark.parametrize(
    "listed", ["{name} {other}", "@revoked {name} {shown}\n{name} {shown}", "{name} {other} M\xfc"]
)
@pytest.mark.parametrize(
    ("host", "known_as"), [("LOCALHOST", "localhost"), ("Localhost", "localhost"), ("127.1", "127.0.0.1")]
)
def test_a_host_in_other_letters_is_no_other_host_and_gets_no_password(transport, host, known_as, listed, tmp_path):
    begun = []

    async def test():
        async with listening(noting_logins(begun)) as address:
            name = f"[{known_as}]:{address['port']}"
            text = listed.format(name=name, other=public(CLIENT_KEY).strip(), shown=public(HOST_KEY).strip())
            host_keys.KNOWN_HOSTS.parent.mkdir()
            host_keys.KNOWN_HOSTS.write_bytes(f"@odd line\n{text}\n".encode("latin-1"))
            facts = address | {"host": host, "host_key": "", "host_key_policy": "accept-new", "password": PASSWORD}
            await fails(transport, *parse_server(facts), HostKeyRejected)
            assert begun == []
            host_keys.KNOWN_HOSTS.write_text(f"{name} {public(HOST_KEY)}")
            await connects(transport, *parse_server(facts | {"host_key_policy": "strict"}))

    asyncio.run(test())
    assert not (tmp_path / "outbox" / "known_hosts").exists()


@pytest.mark.parametrize("policy", ["accept-new", "off"])
@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (RSA_HOST_KEY, b"\0\0\0\7ssh-rsa\0\0\0\1\xff\0\0\0\5\xff\xff\xff\xff\xff"),  # of numbers below nothing
        (RSA_HOST_KEY, b"\0\0\0\7ssh-rsa\0\0\0\1\3\0\0\0\0"),
        (HOST_KEY, b"\0\0\0\x0bssh-ed25519\0\0\0\1\1"),
        (HOST_KEY, b"\xff" * 30),
        (HOST_KEY, b""),
    ],
    ids=itertools.count(),
)
def test_a_host_key_that_cannot_be_read_is_the_servers_fault_and_no_changed_key(transport, policy, key, shown):
    (pair,) = asyncssh.load_keypairs([key])
    pair.public_data = shown

    async def test():
        async with listening(server_host_keys=[pair]) as address:
            server = Server(**address | {"host_key": "", "host_key_policy": policy})
            with pytest.raises((LinkError, SftpUnavailable)) as caught:
                await transport.connect(server, Secret(password=PASSWORD), SETTINGS, KeepingReceiver())
            assert "another key" not in caught.value.hint

    asyncio.run(test())


def test_the_policy_off_trusts_any_server_and_warns_once(transport, caplog):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": "off"})
            receiver = KeepingReceiver()
            with caplog.at_level(logging.WARNING, "iris_communication"):
                (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())
    assert caplog.text.count("is not checked") == 1


NO_NAME = Path("/" + "x" * 300)  # longer than a name may be: no call can find out whether it exists
NO_HOME = Path("~nobody-of-that-name")


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_home_that_cannot_be_read_trusts_no_server_and_blames_no_file(transport, policy, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", NO_NAME / "known_hosts")

    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": policy})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "cannot be read" in said

    asyncio.run(test())


def test_a_user_without_a_home_trusts_only_keys_that_were_pinned_or_accepted(transport, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", NO_HOME / "known_hosts")

    async def test():
        async with listening() as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))
            unpinned = Server(**address | {"host_key": ""})
            said = await fails(transport, unpinned, Secret(password=PASSWORD), HostKeyRejected)
            assert "there is no" in said
            accepting = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            await connects(transport, accepting, Secret(password=PASSWORD))

    asyncio.run(test())


def test_the_folder_of_accepted_keys_is_needed_only_where_a_key_is_accepted(make_transport, monkeypatch):
    monkeypatch.setattr(host_keys, "STATE", NO_HOME / "state")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    transport = make_transport(None)

    async def test():
        async with listening() as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))
            accepting = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            said = await fails(transport, accepting, Secret(password=PASSWORD), CredentialsUnusable)
            assert "home directory" in said

    asyncio.run(test())
