"""What may be pinned as a server's key, and what is refused before anybody connects."""

import itertools

import asyncssh
import pytest

from iris_communication.errors import InvalidRequest
from iris_communication.server.facts import parse_server

KEYS = [asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")]
ED25519 = KEYS[0].export_public_key().decode().strip()
FINGERPRINT = KEYS[0].get_fingerprint()
PRIVATE = KEYS[0].export_private_key().decode()


def pinned(host_key):
    return parse_server({"host": "plant", "username": "iris", "host_key": host_key})[0].host_key


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.get_algorithm())
def test_a_key_and_its_fingerprint_are_pinned_as_they_are(key):
    line = key.export_public_key().decode().strip()
    assert pinned([line, f"{line} ann@plant", key.get_fingerprint()]).splitlines() == [
        line,
        f"{line} ann@plant",
        key.get_fingerprint(),
    ]


def test_a_fingerprint_that_was_filled_up_is_the_same():
    assert pinned(f"{FINGERPRINT}=") == FINGERPRINT


@pytest.mark.parametrize(
    "host",
    [
        "plant",
        "[plant]:2222",
        "192.0.2.7",
        "[fe80::1%eth0]:2222",
        "plant,192.0.2.7",
        "ssh-gateway",
        "|1|F1E1/+k=|aZ0=|",
    ],
)
def test_a_line_of_ssh_keyscan_pins_the_key_in_it(host):
    scanned = f"# plant:22 SSH-2.0-OpenSSH_9.2p1\n{host} {ED25519}\n# plant:22 SSH-2.0-OpenSSH_9.2p1\n"
    assert pinned(f"{host} {ED25519}") == ED25519
    assert pinned(scanned) == ED25519
    assert pinned(scanned.splitlines()) == ED25519


@pytest.mark.parametrize(
    ("host_key", "text"),
    [
        ("SHA256:abc", "cut short"),
        (FINGERPRINT[:-1], "cut short"),
        (FINGERPRINT + "A", "cut short"),
        (FINGERPRINT.replace("SHA256:", "sha256:"), "neither a public key"),
        ("MD5:" + ":".join(["ab"] * 16), "another kind than SHA256"),
        (":".join(["ab"] * 16), "another kind than SHA256"),
        ("SHA512:abc", "another kind than SHA256"),
        ("nonsense", "neither a public key"),
        ("ssh-ed25519", "cut short"),
        (ED25519[:-4], "cut short"),
        ("ssh-ed25519 nonsense", "cut short"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "another kind"),
        (f"@cert-authority plant {ED25519}", "begins with something else"),
        (f"@revoked plant {ED25519}", "begins with something else"),
        (f"@revoked {ED25519}", "begins with something else"),
        (f"cert-authority {ED25519}", "begins with something else"),
        (f"{FINGERPRINT} {ED25519}", "other signs"),
        (f'from="plant" {ED25519}', "begins with something else"),
        (f"plant {ED25519[:-4]}", "cut short"),
        ("# plant:22 SSH-2.0-OpenSSH_9.2p1", "neither a public key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "another form"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
    ],
    ids=itertools.count(),
)
def test_a_text_that_pins_no_key_is_refused_with_what_to_give(host_key, text):
    with pytest.raises(InvalidRequest, match="host_key") as caught:
        pinned(host_key)
    assert text in str(caught.value)
    if not host_key.startswith("#"):
        with pytest.raises(InvalidRequest, match="host_key"):
            pinned([FINGERPRINT, host_key])


def test_a_private_key_in_its_place_is_refused_and_not_shown():
    with pytest.raises(InvalidRequest, match="is a private key") as caught:
        pinned(PRIVATE)
    assert PRIVATE.splitlines()[1][:20] not in str(caught.value)
