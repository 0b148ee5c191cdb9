"""A key that known_hosts lists is trusted, and no other."""

from pathlib import Path

import pytest

from iris_communication.transport import host_keys
from tests.unit.iris_communication.transport.host_keys.servers import ECDSA, ED25519, OTHER_ED25519, line, server


@pytest.fixture
def systems(known_hosts):
    host_keys.SYSTEMS_KNOWN_HOSTS.parent.mkdir()
    return host_keys.SYSTEMS_KNOWN_HOSTS


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


def test_no_key_is_trusted_without_a_file(known_hosts):
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
    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    assert "Permission denied" in host_keys.known(server()).judge(ED25519)


def test_the_server_is_asked_for_a_key_that_is_known(known_hosts):
    known_hosts.write_text(f"sftp.example {line(ECDSA)}\n")
    assert host_keys.known(server()).algorithms[0] == "ecdsa-sha2-nistp256"


def test_another_key_is_refused_with_both_fingerprints_and_what_to_do(known_hosts):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\n")
    reason = host_keys.known(server(port=2222)).judge(OTHER_ED25519)
    assert ED25519.get_fingerprint() in reason
    assert OTHER_ED25519.get_fingerprint() in reason
    assert f"ssh-keygen -R '[sftp.example]:2222' -f {known_hosts}" in reason


@pytest.mark.parametrize("second", ["", "2"])
@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_key_that_the_systems_file_knows_is_trusted_and_no_other(systems, accepted, second, policy):
    systems.with_name(systems.name + second).write_text(f"sftp.example {line(ED25519)}\n")
    trust = host_keys.trust(server(policy=policy), accepted)
    assert trust.judge(ED25519) is None
    assert "ssh_known_hosts" in trust.judge(OTHER_ED25519)
    assert not accepted.exists()
    assert host_keys.foreseen_refusal(server()) is None


def test_the_kind_of_key_that_the_systems_file_knows_is_asked_for_first(systems):
    systems.write_text(f"sftp.example {line(ECDSA)}\n")
    assert host_keys.known(server()).algorithms[0] == "ecdsa-sha2-nistp256"


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_key_that_the_system_revokes_is_refused_though_the_user_knows_it(known_hosts, systems, accepted, policy):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    systems.write_text(f"@revoked * {line(ED25519)}\n")
    assert "is revoked in" in host_keys.trust(server(policy=policy), accepted).judge(ED25519)


def test_a_key_of_the_host_alone_in_one_file_does_not_outweigh_that_of_its_port_in_another(known_hosts, systems):
    known_hosts.write_text(f"[sftp.example]:2222 {line(ED25519)}\n")
    systems.write_text(f"sftp.example {line(OTHER_ED25519)}\n")
    assert "has another key" in host_keys.known(server(port=2222)).judge(OTHER_ED25519)


def test_a_systems_file_that_we_may_not_read_is_passed_over_as_ssh_does(known_hosts, systems, monkeypatch):
    def read(path, usual=Path.read_bytes):
        if path == systems:
            raise PermissionError(13, "Permission denied")
        return usual(path)

    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    systems.write_text(f"sftp.example {line(OTHER_ED25519)}\n")
    monkeypatch.setattr(Path, "read_bytes", read)
    assert host_keys.known(server()).judge(ED25519) is None
    assert host_keys.known(server()).judge(OTHER_ED25519) is not None


@pytest.mark.parametrize("searched", ["gate", "Gate", "[10.0.0.1]:2222"])
def test_a_key_that_is_known_by_the_name_that_ssh_searches_for_is_trusted_and_no_other(known_hosts, searched):
    known_hosts.write_text(f"{searched} {line(ED25519)}\n")
    judge = host_keys.known(server("plant", 2222)).judge
    assert judge(ED25519, searched) is None
    assert f"ssh-keygen -R '{searched}'" in judge(OTHER_ED25519, searched)
    assert "does not know it" in judge(ED25519)
    assert "does not know it" in judge(ED25519, "other")


def test_a_key_of_the_address_alone_counts_where_ssh_searches_for_a_port_that_is_not_known(known_hosts):
    known_hosts.write_text(f"10.0.0.1 {line(ED25519)}\n")
    judge = host_keys.known(server("plant", 2222)).judge
    assert judge(ED25519, "[10.0.0.1]:2222") is None
    known_hosts.write_text(f"10.0.0.1 {line(ED25519)}\n[10.0.0.1]:2222 {line(OTHER_ED25519)}\n")
    assert "has another key" in host_keys.known(server("plant", 2222)).judge(ED25519, "[10.0.0.1]:2222")


def test_a_revoked_key_is_refused_under_each_name(known_hosts):
    known_hosts.write_text(f"plant {line(ED25519)}\n@revoked 10.0.0.1 {line(ED25519)}\n")
    assert "revoked" in host_keys.known(server("plant", 2222)).judge(ED25519, "[10.0.0.1]:2222")
