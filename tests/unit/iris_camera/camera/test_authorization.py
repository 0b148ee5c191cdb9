"""The digests are the examples of RFC 2617 (3.5) and RFC 7616 (3.9.1)."""

from iris_camera.camera.authorization import Login, answer

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


def test_the_old_digest_without_quality_of_protection_counts_nothing():
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


def test_what_is_asked_in_an_unknown_way_is_not_answered():
    assert answer(["Bearer"], Login("a", "b"), "GET", "/", "") is None
    assert answer(['Digest realm="x", nonce="n", algorithm=SHA-512'], Login("a", "b"), "GET", "/", "") is None
    assert answer(['Digest realm="x", nonce="n", qop="auth-int"'], Login("a", "b"), "GET", "/", "") is None


def test_a_quotation_mark_in_a_name_cannot_end_the_header():
    answered = answer(['Digest realm="x", nonce="n"'], Login('a", uri="/other', "b"), "GET", "/", "")
    assert 'username="a\\", uri=\\"/other"' in answered


def test_a_login_does_not_show_its_password():
    assert "open sesame" not in repr(Login("Aladdin", "open sesame"))
    assert "open sesame" not in f"{Login('Aladdin', 'open sesame')}"
