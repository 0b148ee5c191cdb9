import time

from iris_communication.clock import SystemClock


def test_the_three_clocks_are_the_systems():
    clock = SystemClock()
    assert abs(clock.wall_s() - time.time()) < 60
    assert abs(clock.monotonic_s() - time.monotonic()) < 60
    assert clock.boot_s() >= time.monotonic() - 60  # it also counts the time of suspend


def test_monotonic_and_boot_time_never_go_back():
    clock = SystemClock()
    assert clock.monotonic_s() <= clock.monotonic_s()
    assert clock.boot_s() <= clock.boot_s()


def test_a_boot_has_one_id():
    assert SystemClock().boot_id == SystemClock().boot_id != ""


def test_each_process_counts_as_a_boot_of_its_own_where_the_boot_has_no_id(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("iris_communication.clock.Path.read_text", missing)
    assert SystemClock().boot_id != SystemClock().boot_id
