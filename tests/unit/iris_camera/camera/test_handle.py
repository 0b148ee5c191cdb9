import threading

import pytest

from iris_camera.camera.handle import ResourceHandle

SOON_S = 20.0


@pytest.fixture
def released():
    return []


@pytest.fixture
def handle(released):
    return ResourceHandle("capture", released.append)


def test_the_handle_is_used_until_it_is_closed(handle):
    assert handle.use(str.upper) == "CAPTURE"
    handle.close()
    assert handle.use(str.upper) is None


def test_the_handle_is_released_once(handle, released):
    handle.close()
    handle.close()
    handle.use(str.upper)
    assert released == ["capture"]


def test_a_handle_closed_during_a_call_is_released_by_the_thread_that_comes_out_of_it(handle, released):
    inside, go_on, answers = threading.Event(), threading.Event(), []

    def work(resource):
        inside.set()
        assert go_on.wait(SOON_S)
        assert released == []
        return resource

    user = threading.Thread(target=lambda: answers.append(handle.use(work)))
    user.start()
    assert inside.wait(SOON_S)
    handle.close()
    assert released == []
    go_on.set()
    user.join(SOON_S)
    assert released == ["capture"]


def test_a_call_that_raises_during_the_close_releases_too(handle, released):
    def work(resource):
        handle.close()
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        handle.use(work)
    assert released == ["capture"]
