import pytest

from iris_camera.camera.address import parse_address

SECRET = "s3cr3t-Horse"


def test_the_parts_of_an_address():
    address = parse_address("rtsp://camera.plant:8554/stream?channel=1")
    assert (address.scheme, address.host, address.port, address.place) == (
        "rtsp",
        "camera.plant",
        8554,
        "camera.plant:8554",
    )


@pytest.mark.parametrize(("text", "port"), [("rtsp://camera/x", 554), ("http://camera/x", 80), ("https://camera", 443)])
def test_a_port_not_given_is_the_schemes(text, port):
    assert parse_address(text).port == port


def test_an_address_of_ip_version_6():
    assert parse_address("rtsp://[fe80::1]:8554/x").place == "[fe80::1]:8554"


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp://admin:{SECRET}@camera/x",
        f"http://{SECRET}@camera/x",
        f"rtsp:admin:{SECRET}@camera",
        f"http://camera/video.cgi?user=admin&pwd={SECRET}",
        f"rtsp://camera/user=admin&password={SECRET}&channel=1",
        f"rtsp://camera:554/user=admin_password={SECRET}_channel=1",
        f"http://camera/?token={SECRET}",
    ],
)
def test_an_address_with_a_credential_is_refused_and_the_sentence_does_not_hold_it(text):
    with pytest.raises(ValueError, match="username and password") as caught:
        parse_address(text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", ["rtsp://", "http:///x", "rtsp:camera/x", "http://camera:port/x", "rtsp://cam era/"])
def test_a_text_that_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


def test_a_placeholder_stands_where_the_camera_wants_the_password_in_the_address():
    address = parse_address("http://camera/video.cgi?user={username}&pwd={password}")
    assert address.target("ad min", "p&?#") == "/video.cgi?user=ad%20min&pwd=p%26%3F%23"
    assert SECRET not in address.text


def test_ffmpeg_gets_the_credentials_escaped_in_front_of_the_host():
    address = parse_address("rtsp://camera/x")
    assert address.with_credentials("us:er", "p@ss/w%rd") == "rtsp://us%3Aer:p%40ss%2Fw%25rd@camera/x"
    assert address.with_credentials("", "") == "rtsp://camera/x"


def test_credentials_that_stand_in_the_address_are_not_put_in_front_as_well():
    address = parse_address("rtsp://camera/user={username}&password={password}")
    assert address.with_credentials("a", "b") == "rtsp://camera/user=a&password=b"


def test_the_root_is_asked_for_of_an_address_without_a_path():
    assert parse_address("http://camera").target("", "") == "/"
