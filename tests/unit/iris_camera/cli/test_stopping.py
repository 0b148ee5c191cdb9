import threading

from iris_camera.cli.stopping import Stopping


def test_a_waiting_thread_is_woken_and_a_later_one_does_not_wait():
    stopping = Stopping()
    assert not stopping.wait(0.0)
    asker = threading.Thread(target=stopping.ask)
    asker.start()
    assert stopping.wait(20.0)
    asker.join()
    assert stopping.is_set()
    assert stopping.wait(20.0)
