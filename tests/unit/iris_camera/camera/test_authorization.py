"""The digests are the examples of RFC 2617 (3.5) and RFC 7616 (3.9.1)."""

import hashlib
from base64 import b64encode

import pytest

from iris_camera.camera.authorization import Login, answer, is_stale

MUFASA_2617 = Login("Mufasa", "Circle Of Life")
MUFASA_7616 = Login("Mufasa", "Circle of Life")
ASKED_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
ASKED_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
OUR_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_a_digest_as_rfc_2617_works_it_out():
    answered = answer([ASKED_2617], MUFASA_2617, "GET", "/dir/index.html", "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in answered
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in answered


def test_sha_256_is_taken_before_md5_and_both_are_as_rfc_7616_works_them_out():
    both = [ASKED_7616.format("MD5"), ASKED_7616.format("SHA-256")]
    stronger = answer(both, MUFASA_7616, "GET", "/dir/index.html", OUR_NONCE)
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in stronger
    weaker = answer(both[:1], MUFASA_7616, "GET", "/dir/index.html", OUR_NONCE)
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in weaker


def test_the_old_digest_without_quality_of_protection_has_no_counter():
    answered = answer(['Digest realm="camera", nonce="n"'], Login("a", "b"), "DESCRIBE", "rtsp://camera/x", "ours")
    assert "cnonce" not in answered
    assert "nc=" not in answered


def test_digest_is_taken_before_basic_which_sends_the_password():
    answered = answer(['Basic realm="camera"', ASKED_2617], MUFASA_2617, "GET", "/", "ours")
    assert answered.startswith("Digest ")


def test_basic_is_name_and_password():
    assert answer(['Basic realm="x"'], Login("Aladdin", "open sesame"), "GET", "/", "") == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )


BOTH_WAYS = [
    ['Basic realm="camera", Digest realm="camera", nonce="n", qop="auth"'],
    ['Digest realm="camera", nonce="n", qop="auth", Basic realm="camera"'],
    ['Basic realm="camera"', 'Digest realm="camera", nonce="n"'],
    ["Basic, DIGEST realm=camera, nonce=n"],
    ['basic realm="a, Digest of all", charset="UTF-8", digest realm="camera",nonce="n",qop="auth,auth-int"'],
    ['Negotiate, NTLM TlRMTVNTUAAB=, Basic realm="camera", Digest realm="camera", nonce="n"'],
    ['Basic realm="camera",  ,Digest realm = "camera" , nonce = "n", algorithm=SHA-256'],
]


@pytest.mark.parametrize("challenges", BOTH_WAYS)
def test_digest_is_taken_however_the_schemes_are_offered_and_the_password_is_not_sent(challenges):
    answered = answer(challenges, Login("a", "open sesame"), "GET", "/", "ours")
    assert answered.startswith('Digest username="a", realm="camera", nonce="n"')
    assert b64encode(b"a:open sesame").decode() not in answered


@pytest.mark.parametrize(
    "digest", ['realm="x", nonce="n", algorithm=SHA-1024', 'realm="x", nonce="n", qop="auth-conf"', "algorithm=x"]
)
def test_the_password_is_not_sent_where_a_digest_of_an_unknown_kind_was_offered(digest):
    for challenges in ([f'Basic realm="x", Digest {digest}'], [f"Digest {digest}", 'Basic realm="x"']):
        assert answer(challenges, Login("a", "b"), "GET", "/", "ours") is None


@pytest.mark.parametrize(
    "challenges",
    [
        ['Basic realm="Camera "7"", Digest realm="c", nonce="n"'],
        ['Basic realm="camera, Digest realm="camera", nonce="n"'],
        [f'Basic realm="{"x" * 5000}", Digest realm="camera", nonce="n"'],
        ['Basic realm="x"', f'Negotiate {"x" * 5000}, DIGEST realm="camera", nonce="n"'],
        ['Basic realm="x" = , Digest realm="camera", nonce="n"'],
    ],
)
def test_the_password_is_not_sent_where_a_digest_was_offered_in_a_line_that_is_badly_written(challenges):
    answered = answer(challenges, Login("a", "b"), "GET", "/", "ours")
    assert answered is None or answered.startswith("Digest ")


def test_a_realm_may_be_called_digest():
    assert answer(['Basic realm="Digest of all"'], Login("a", "b"), "GET", "/", "").startswith("Basic ")


def hashed(name, text):
    return hashlib.new(name, text.encode()).hexdigest()


@pytest.mark.parametrize("name", ["md5", "sha256", "sha512_256"])
@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("protection", ["auth", "auth-int", ""])
def test_a_digest_is_worked_out_as_rfc_7616_says_for_each_algorithm_session_and_protection(name, session, protection):
    algorithm = {"md5": "MD5", "sha256": "SHA-256", "sha512_256": "SHA-512-256"}[name] + "-sess" * session
    asked = f'Digest realm="r", nonce="n", algorithm={algorithm}' + (f', qop="{protection}"' if protection else "")
    answered = answer([asked], Login("u", "p"), "GET", "/x", "c")
    who = hashed(name, "u:r:p")
    who = hashed(name, f"{who}:n:c") if session else who
    what = hashed(name, "GET:/x" + (f":{hashed(name, '')}" if protection == "auth-int" else ""))
    middle = f"n:00000001:c:{protection}" if protection else "n"
    assert f'response="{hashed(name, f"{who}:{middle}:{what}")}"' in answered
    assert (f"qop={protection}" in answered) == bool(protection)


def test_auth_is_taken_before_auth_int():
    assert "qop=auth, nc" in answer(
        ['Digest realm="r", nonce="n", qop="auth-int,auth"'], Login("u", "p"), "GET", "/", "c"
    )


def test_a_quoted_quotation_mark_in_the_realm_is_part_of_it():
    answered = answer(['Digest realm="the \\"new\\" one", nonce="n"'], Login("u", "p"), "GET", "/", "c")
    assert 'realm="the \\"new\\" one"' in answered
    who = hashed("md5", 'u:the "new" one:p')
    assert hashed("md5", f"{who}:n:{hashed('md5', 'GET:/')}") in answered


def test_stale_counts_in_a_digest_only():
    assert is_stale(['Digest realm="r", nonce="n", stale=TRUE'])
    assert not is_stale(['Digest realm="r", nonce="n"', "Basic stale=true"])


@pytest.mark.parametrize("piece", ["Digest ", 'a="', 'a="\\', "a=", ",", " ", "a ", "\\", '"', "a=b,"])
def test_no_challenge_takes_long(piece):
    answer([piece * 1_000_000], Login("u", "p"), "GET", "/", "c")


def test_a_challenge_of_an_unknown_scheme_is_not_answered():
    assert answer(["Bearer"], Login("a", "b"), "GET", "/", "") is None
    assert answer(['Digest realm="x", nonce="n", algorithm=SHA-512'], Login("a", "b"), "GET", "/", "") is None


def test_a_quotation_mark_in_a_name_cannot_end_the_header():
    answered = answer(['Digest realm="x", nonce="n"'], Login('a", uri="/other', "b"), "GET", "/", "")
    assert 'username="a\\", uri=\\"/other"' in answered


def test_a_login_does_not_show_its_password():
    assert "open sesame" not in repr(Login("Aladdin", "open sesame"))
    assert "open sesame" not in f"{Login('Aladdin', 'open sesame')}"
