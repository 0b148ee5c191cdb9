"""Which keys are trusted: pins first, then what the policy says; each refusal says what to do."""

import logging

import pytest

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.transport import host_keys
from tests.unit.iris_communication.transport.host_keys.servers import ECDSA, ED25519, OTHER_ED25519, line, server


@pytest.mark.parametrize(
    "pin",
    [line(ED25519), line(ED25519) + " ann@plant\n", ED25519.get_fingerprint(), f" {ED25519.get_fingerprint()}\n"],
    ids=["key", "key with a comment", "fingerprint", "fingerprint with spaces"],
)
def test_a_pinned_key_is_trusted_and_no_other(pin):
    judge = host_keys.pinned(server(host_key=pin)).judge
    assert judge(ED25519) is None
    assert judge(OTHER_ED25519) is not None


def test_any_of_several_pinned_keys_is_trusted_and_no_other():
    judge = host_keys.pinned(server(host_key=f"{line(ED25519)}\n{ECDSA.get_fingerprint()}")).judge
    assert judge(ED25519) is None
    assert judge(ECDSA) is None
    said = judge(OTHER_ED25519)
    assert ED25519.get_fingerprint() in said
    assert ECDSA.get_fingerprint() in said
    assert said.endswith("are pinned")


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


def test_the_server_is_asked_for_a_fingerprint_as_the_ssh_program_asks():
    algorithms = host_keys.pinned(server(host_key=ED25519.get_fingerprint())).algorithms
    assert algorithms[0] == "ssh-ed25519"
    assert {"ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"} <= set(algorithms)


def test_the_hint_is_that_of_what_happened(known_hosts, accepted):
    """Only a key that has changed is told as changed."""

    def hint(trust, key):
        return host_keys.rejected(server(), trust.judge(key)).hint

    unknown = hint(host_keys.known(server()), ED25519)
    known_hosts.write_text(f"other.example {line(ED25519)}\n")
    assert hint(host_keys.known(server()), ED25519) == unknown
    assert "not known yet" in unknown
    assert "accept-new" in unknown
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    assert "another key" in hint(host_keys.known(server()), OTHER_ED25519)
    pinned = hint(host_keys.pinned(server(host_key=line(ED25519))), OTHER_ED25519)
    assert "pinned" in pinned
    assert "read again" in pinned
    known_hosts.write_text(f"@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in hint(host_keys.known(server()), ED25519)
    accepted.parent.write_text("a file where the folder should be")
    assert "free space" in hint(host_keys.known_or_new(server(), accepted), OTHER_ED25519)


def test_a_pin_decides_whatever_the_policy(accepted):
    for policy in ("strict", "accept-new", "off"):
        trust = host_keys.trust(server(host_key=line(ED25519), policy=policy), accepted)
        assert trust.judge(ED25519) is None
        assert trust.judge(OTHER_ED25519) is not None


def test_strict_asks_known_hosts_and_not_what_was_once_accepted(accepted):
    host_keys.trust(server(policy="accept-new"), accepted).judge(ED25519)
    assert host_keys.trust(server(), accepted).judge(ED25519) is not None


def test_the_policy_off_trusts_anybody_and_says_so_each_time(accepted, caplog):
    with caplog.at_level(logging.WARNING):
        for key in (ED25519, OTHER_ED25519):
            assert host_keys.trust(server(policy="off"), accepted).judge(key) is None
    assert len(caplog.records) == 2
    assert "not checked" in caplog.text
    assert "anyone on the network path can impersonate it" in caplog.text


def test_accepted_keys_without_an_outbox_are_in_the_users_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert str(host_keys.default_accepted()) == "/state/iris/known_hosts"
