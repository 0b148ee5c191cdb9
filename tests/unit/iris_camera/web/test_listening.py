import socket

import pytest

from iris_camera.web.listening import CannotServe, bind
from tests.servers.held_port import held_port


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def test_a_taken_port_is_an_error_that_names_host_and_port_and_says_what_to_do(taken_port):
    with pytest.raises(CannotServe) as raised:
        bind("127.0.0.1", taken_port)
    assert f"127.0.0.1 port {taken_port}: the port is in use" in str(raised.value)
    assert "choose another port" in str(raised.value)


def test_a_taken_port_is_replaced_by_a_free_one_when_the_caller_allows_it(taken_port):
    with bind("127.0.0.1", taken_port, fall_back=True) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.getsockname()[1] not in {0, taken_port}


def test_a_free_port_is_taken_as_wanted_even_where_falling_back_is_allowed():
    with held_port() as port, bind("127.0.0.1", port, fall_back=True) as listening:
        assert listening.getsockname()[1] == port


def test_two_that_claim_a_port_at_the_same_moment_do_not_both_get_it():
    with bind("127.0.0.1", 0) as first, pytest.raises(CannotServe):
        bind("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 70000, "from 0 (any free one) to 65535"),
        ("192.0.2.1", 0, "this machine has no such address"),
    ],
)
def test_an_address_that_cannot_be_had_says_why(host, port, text):
    with pytest.raises(CannotServe) as raised:
        bind(host, port)
    assert f"{host} port {port}" in str(raised.value)
    assert text in str(raised.value)


def test_an_address_that_is_not_ours_is_no_reason_to_fall_back():
    with pytest.raises(CannotServe):
        bind("192.0.2.1", 0, fall_back=True)
