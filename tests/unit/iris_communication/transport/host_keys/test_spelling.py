"""A host is the same however it is spelled."""

import pytest

from iris_communication.transport import host_keys
from tests.unit.iris_communication.transport.host_keys.servers import ECDSA, ED25519, OTHER_ED25519, line, server


@pytest.mark.parametrize("host", ["SFTP.Example", "sftp.example.", "Sftp.Example."])
def test_a_host_is_the_same_however_it_is_spelled(known_hosts, accepted, host):
    known_hosts.write_text(f"sftp.example {line(ED25519)}\n")
    assert host_keys.known(server(host)).judge(ED25519) is None
    trust = host_keys.trust(server(host, policy="accept-new"), accepted)
    assert "has another key for it" in trust.judge(OTHER_ED25519)
    known_hosts.write_text(f"@revoked sftp.example {line(ED25519)}\n")
    assert "revoked" in host_keys.trust(server(host, policy="accept-new"), accepted).judge(ED25519)
    assert not accepted.exists()


def test_a_key_that_was_accepted_counts_however_the_host_is_spelled_later(accepted):
    assert host_keys.trust(server("Sftp.EXAMPLE", policy="accept-new"), accepted).judge(ED25519) is None
    assert accepted.read_text().startswith("sftp.example ")
    for host in ("sftp.example", "SFTP.example", "sftp.example."):
        again = host_keys.trust(server(host, policy="accept-new"), accepted)
        assert again.judge(ED25519) is None
        assert "has another key" in again.judge(OTHER_ED25519)


def test_a_key_that_was_accepted_under_another_spelling_by_an_earlier_version_counts(accepted):
    accepted.parent.mkdir()
    accepted.write_text(f"SFTP.Example {line(ED25519)}")  # without its last line break
    assert host_keys.trust(server(policy="accept-new"), accepted).judge(OTHER_ED25519) is not None
    assert host_keys.trust(server("other", policy="accept-new"), accepted).judge(ECDSA) is None
    assert accepted.read_text() == f"SFTP.Example {line(ED25519)}\nother {line(ECDSA)}\n"


@pytest.mark.parametrize("odd", [b"@strange a b c", b"|1|bad ssh-ed25519 AAAA", b"one-word", b"a ssh-ed25519 AAAA"])
def test_an_odd_line_of_the_users_is_passed_over_with_one_warning(known_hosts, accepted, odd, caplog):
    known_hosts.write_bytes(odd + f"\nsftp.example {line(ED25519)} M\xfcller\n".encode("latin-1"))
    for _ in range(2):
        assert host_keys.known(server()).judge(ED25519) is None
        assert host_keys.trust(server("new", policy="accept-new"), accepted).judge(ED25519) is None
    said = [record.getMessage() for record in caplog.records if str(known_hosts) in record.getMessage()]
    assert len(said) == 1
    assert "line 1" in said[0]
