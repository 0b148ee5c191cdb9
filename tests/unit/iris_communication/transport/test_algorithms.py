"""What is offered, what comes of two offers, and how a lack is told."""

import struct

import pytest

from iris_communication.settings import Server
from iris_communication.transport import algorithms
from iris_communication.transport.algorithms import LEGACY, TODAY, Offer

PLANT, OLD_PLANT = Server("plant", "iris"), Server("plant", "iris", legacy_algorithms=True)
THEIRS = Offer(
    ("curve25519-sha256",), ("ssh-ed25519",), ("aes128-ctr", "aes256-gcm@openssh.com"), ("hmac-sha2-256",), ("none",)
)


def kexinit(offer):
    lists = [offer[0], offer[1], offer[2], offer[2], offer[3], offer[3], offer[4], offer[4]]
    names = [",".join(each).encode() for each in lists]
    return b"\x14" + b"c" * 16 + b"".join(struct.pack(">I", len(each)) + each for each in names) + bytes(13)


def test_no_old_algorithm_is_offered_to_everybody():
    for today, old in zip(algorithms.offered(PLANT), LEGACY, strict=True):
        assert not set(today) & set(old)
    for both, today, old in zip(algorithms.offered(OLD_PLANT), TODAY, LEGACY, strict=True):
        assert both == today + old  # and what is of today still comes first


def test_a_kexinit_is_read_as_it_is_written():
    assert algorithms.of_kexinit(kexinit(THEIRS)) == THEIRS


@pytest.mark.parametrize("size", [0, 1, 17, 20, 40])
def test_a_kexinit_that_is_cut_short_tells_nothing(size):
    assert algorithms.of_kexinit(kexinit(THEIRS)[:size]) is None


def test_the_first_of_ours_of_each_kind_is_used():
    used = algorithms.negotiated(TODAY, THEIRS)
    assert used == ("curve25519-sha256", "ssh-ed25519", "aes256-gcm@openssh.com", "implicit")
    assert used.legacy == []
    assert algorithms.negotiated(TODAY, THEIRS._replace(ciphers=("aes128-ctr",))).mac == "hmac-sha2-256"


@pytest.mark.parametrize(
    ("kind", "changed", "helps"),
    [
        ("key exchange", {"key_exchanges": ("diffie-hellman-group1-sha1",)}, True),
        ("kind of host key", {"host_keys": ("ssh-rsa", "ssh-dss")}, True),
        ("kind of host key", {"host_keys": ("ssh-dss",)}, False),
        ("cipher", {"ciphers": ("3des-cbc", "arcfour")}, True),
        ("MAC", {"ciphers": ("aes128-ctr",), "macs": ("hmac-sha1",)}, True),
        ("compression", {"compressions": ("lzma",)}, False),
    ],
)
def test_a_lack_is_told_by_its_kind_and_the_setting_only_where_it_helps(kind, changed, helps):
    lack = algorithms.lacking(TODAY, THEIRS._replace(**changed))
    assert lack is not None
    error = algorithms.nothing_in_common(PLANT, *lack)
    assert f"no {kind} in common with plant:22: it offers {', '.join(list(changed.values())[-1])}" in str(error)
    assert ("legacy_algorithms = true" in error.hint) is helps
    if not helps:
        assert "enable one of these on the server" in error.hint
    assert "legacy_algorithms" not in algorithms.nothing_in_common(OLD_PLANT, *lack).hint


def test_a_mac_that_no_cipher_needs_is_no_lack():
    assert algorithms.lacking(TODAY, THEIRS._replace(macs=("hmac-md5",))) is None


def test_the_offer_of_a_stranger_is_cut_and_shown_only_as_far_as_it_is_text():
    error = algorithms.nothing_in_common(PLANT, "cipher", ["\x1b[1m", "x" * 100_000])
    assert str(error).isprintable()
    assert len(str(error)) < 400
