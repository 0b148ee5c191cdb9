"""Whom we trust, and what we say when we do not."""

import asyncssh
import pytest

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.settings import Server
from iris_communication.transport import host_keys

ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
OTHER_ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()


def line(key):
    return key.export_public_key().decode().strip()


def server(host="sftp.example", port=22, host_key=""):
    return Server(host=host, username="iris", port=port, host_key=host_key)


@pytest.fixture
def known_hosts(tmp_path, monkeypatch):
    path = tmp_path / "known_hosts"
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", path)
    return path


# -- pinned


@pytest.mark.parametrize(
    "pin",
    [line(ED25519), line(ED25519) + " ann@plant\n", ED25519.get_fingerprint(), f" {ED25519.get_fingerprint()}\n"],
    ids=["key", "key with a comment", "fingerprint", "fingerprint with spaces"],
)
def test_a_pinned_key_is_trusted_and_no_other(pin):
    judge = host_keys.pinned(server(host_key=pin)).judge
    assert judge(ED25519) is None
    assert judge(OTHER_ED25519) is not None


def test_a_refusal_shows_both_keys_and_the_kind_that_came():
    reason = host_keys.pinned(server(host_key=line(ED25519))).judge(ECDSA)
    assert ED25519.get_fingerprint() in reason
    assert ECDSA.get_fingerprint() in reason
    assert "ecdsa-sha2-nistp256" in reason
    error = host_keys.rejected(server(), reason)
    assert isinstance(error, HostKeyRejected)
    assert "iris@sftp.example:22" in str(error)


@pytest.mark.parametrize("pin", ["nonsense", "ssh-ed25519 AAAA", "sftp.example ssh-ed25519 AAAA", "MD5:aa:bb"])
def test_a_pin_that_cannot_be_read_is_told_with_what_to_give(pin):
    with pytest.raises(CredentialsUnusable, match="host_key of iris@sftp") as caught:
        host_keys.pinned(server(host_key=pin))
    assert "SHA256:" in caught.value.hint


def test_the_server_is_asked_for_the_key_that_is_pinned():
    """A server has keys of several kinds; asked for another kind it would show another key."""
    assert host_keys.pinned(server(host_key=line(ECDSA))).algorithms[0] == "ecdsa-sha2-nistp256"
    assert host_keys.pinned(server(host_key=line(ED25519))).algorithms[0] == "ssh-ed25519"


def test_for_a_fingerprint_the_server_is_asked_as_the_ssh_program_asks():
    algorithms = host_keys.pinned(server(host_key=ED25519.get_fingerprint())).algorithms
    assert algorithms[0] == "ssh-ed25519"
    assert {"ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"} <= set(algorithms)


# -- known hosts


@pytest.mark.parametrize("host", ["sftp.example", "127.0.0.1", "::1"])
def test_a_known_key_is_trusted_and_no_other(known_hosts, host):
    known_hosts.write_text(f"{host} {line(ED25519)}\n")
    judge = host_keys.known(server(host)).judge
    assert judge(ED25519) is None
    assert "has another key for it" in judge(OTHER_ED25519)


def test_a_hashed_entry_is_understood(known_hosts):
    known_hosts.write_text(f"|1|{HASHED_SFTP_EXAMPLE} {line(ED25519)}\n")
    assert host_keys.known(server()).judge(ED25519) is None


HASHED_SFTP_EXAMPLE = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=|mC9U1Hn8aOn9+0sC4FIhNRfq590="


def test_another_port_is_another_entry(known_hosts):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\nsftp.example {line(OTHER_ED25519)}\n")
    judge = host_keys.known(server(port=2222)).judge
    assert judge(ED25519) is None
    assert judge(OTHER_ED25519) is not None
    assert host_keys.known(server()).judge(OTHER_ED25519) is None


def test_a_host_that_is_not_listed_is_told_with_its_key(known_hosts):
    known_hosts.write_text(f"other.example {line(ED25519)}\n")
    reason = host_keys.known(server()).judge(ED25519)
    assert "does not know it" in reason
    assert ED25519.get_fingerprint() in reason
    assert str(known_hosts) in reason


def test_without_a_file_nothing_is_trusted(known_hosts):
    assert f"no {known_hosts}" in host_keys.known(server()).judge(ED25519)


def test_a_revoked_key_is_refused_even_where_it_is_listed(known_hosts):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in host_keys.known(server()).judge(ED25519)


@pytest.mark.parametrize(
    "content", [b"one-word\n", b"@strange a b c\n", b"|1|bad ssh-ed25519 AAAA\n", b"\xff\xfe\xfd\n"]
)
def test_a_file_that_cannot_be_read_is_told_and_trusts_nobody(known_hosts, content):
    known_hosts.write_bytes(content)
    reason = host_keys.known(server()).judge(ED25519)
    assert f"{known_hosts} cannot be read" in reason or "does not know it" in reason


def test_a_file_we_may_not_read_is_told(known_hosts, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    monkeypatch.setattr("asyncssh.read_known_hosts", denied)
    assert "Permission denied" in host_keys.known(server()).judge(ED25519)


def test_the_server_is_asked_for_a_key_that_is_known(known_hosts):
    known_hosts.write_text(f"sftp.example {line(ECDSA)}\n")
    assert host_keys.known(server()).algorithms[0] == "ecdsa-sha2-nistp256"
