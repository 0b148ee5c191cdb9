from dataclasses import fields

import pytest

from iris_camera.web.settings import WebSettings


def test_the_page_is_for_this_machine_alone_by_default():
    assert (WebSettings().host, WebSettings().port, WebSettings().names) == ("127.0.0.1", 5000, ())


def test_the_page_may_be_opened_by_its_host_and_by_the_names_given():
    settings = WebSettings(host="plant-pc", names=("plant-pc.example", "10.0.0.7"))
    assert settings.own_names == ("plant-pc", "plant-pc.example", "10.0.0.7")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"port": 70_000}, "port is 70000: expected 0"),
        ({"port": -1}, "port is -1: expected 0"),
        ({"host": ""}, 'host is "": expected an address'),
        ({"host": "plant pc"}, 'host is "plant pc": expected an address'),
        ({"names": ("ok", "http://plant-pc")}, 'names has "http://plant-pc": expected a host name without scheme'),
        ({"names": ("plant-pc:5000",)}, 'names has "plant-pc:5000": expected a host name'),
    ],
)
def test_an_impossible_setting_is_refused_with_what_was_expected(wrong, text):
    with pytest.raises(ValueError, match="expected") as refused:
        WebSettings(**wrong)
    assert text in str(refused.value)


def test_every_setting_says_what_it_means():
    assert all(field.metadata["doc"] for field in fields(WebSettings))
