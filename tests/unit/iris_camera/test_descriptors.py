import resource

import pytest

from iris_camera import descriptors

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch):
    """The process's own, made up."""

    class Limits:
        now = (1024, 4096)

    monkeypatch.setattr(resource, "getrlimit", lambda which: Limits.now)
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: setattr(Limits, "now", wanted))
    return Limits


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, 1_048_576), (8192, 1_048_576)),
        ((1024, INFINITY), (8192, INFINITY)),
        ((100_000, 1_048_576), (100_000, 1_048_576)),
        ((INFINITY, INFINITY), (INFINITY, INFINITY)),
    ],
)
def test_the_limit_is_raised_as_far_as_is_wanted_and_allowed_and_never_lowered(limits, before, after):
    limits.now = before
    descriptors.raise_limit()
    assert limits.now == after


def test_a_limit_that_cannot_be_raised_stays_and_is_logged(limits, monkeypatch, caplog):
    def refused(which, wanted):
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refused)
    assert descriptors.raise_limit() == 1024
    assert "the limit of open files stays at 1024: not allowed" in caplog.text


def test_a_very_low_limit_is_logged_with_what_to_do(limits, caplog):
    limits.now = (256, 256)
    assert descriptors.raise_limit() == 256
    assert "LimitNOFILE" in caplog.text
