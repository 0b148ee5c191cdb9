"""The four counts of the statistics: they balance at every instant."""

import threading

from tests.contract.fixed_names.uploading import (
    WAIT_S,
    GatedProcessor,
    RecordingProcessor,
    balanced,
    queue,
    settled,
    submit,
)


def test_the_statistics_are_exactly_four_counts(make_uploader):
    assert make_uploader().get_stats() == {"total_queued": 0, "total_uploaded": 0, "total_failed": 0, "queue_size": 0}


def test_the_counts_balance_at_every_instant(make_uploader, file):
    uploader = make_uploader(RecordingProcessor(failing={f"{number}.csv" for number in range(0, 60, 3)}))
    uploader.start()
    done, unbalanced = threading.Event(), []

    def watch():
        while not done.wait(0.0002):  # without a pause it would take the interpreter from those it watches
            stats = uploader.get_stats()
            if not balanced(stats):
                unbalanced.append(stats)

    watcher = threading.Thread(target=watch)
    watcher.start()
    settled(*[submit(uploader, file(f"{number}.csv")) for number in range(60)])
    done.set()
    watcher.join()
    assert unbalanced == []
    assert uploader.get_stats() == {"total_queued": 60, "total_uploaded": 40, "total_failed": 20, "queue_size": 0}


def test_queue_size_is_what_waits_and_what_is_in_flight(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(f"{number}.csv")) for number in range(3)]
    assert processor.entered.wait(WAIT_S)
    (key,) = uploader.get_details()["servers"]

    def shown():
        destination = uploader.get_details()["servers"][key]
        return destination["waiting"], destination["in_flight"]

    while shown() != (2, 1):  # what is just being handed from writer to worker shows a moment later
        threading.Event().wait(0.005)
    assert uploader.get_stats()["queue_size"] == 3
    processor.let.set()
    settled(*receipts)
    assert uploader.get_stats()["queue_size"] == 0


def test_the_content_in_memory_is_counted_while_files_are_handed_out(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    path = file()
    uploader.start()
    receipt = submit(uploader, path)
    assert processor.entered.wait(WAIT_S)
    assert uploader.get_details()["content_in_memory_bytes"] == path.stat().st_size > 0
    processor.let.set()
    settled(receipt)
    uploader.stop()
    assert uploader.get_details()["content_in_memory_bytes"] == 0


def test_the_counts_balance_while_dead_files_are_queued_again(make_uploader, file):
    processor = RecordingProcessor(failing={"a.csv", "b.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    receipts = [submit(uploader, file(name)) for name in ("a.csv", "b.csv", "c.csv")]
    settled(*receipts)
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 1, "total_failed": 2, "queue_size": 0}
    processor.failing.clear()
    assert uploader.retry_dead() == 2
    assert balanced(uploader.get_stats())
    uploader.stop()
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 3, "total_failed": 0, "queue_size": 0}


def test_files_found_at_the_start_count_as_queued(make_uploader, file):
    uploader = make_uploader(GatedProcessor())
    uploader.start()
    for number in range(3):
        queue(uploader, file(f"{number}.csv"))
    uploader.close(0.0)
    found = make_uploader(GatedProcessor())
    found.start()
    assert found.get_stats() == {"total_queued": 3, "total_uploaded": 0, "total_failed": 0, "queue_size": 3}


def test_a_dead_file_is_listed_and_can_be_queued_again(make_uploader, file):
    processor = RecordingProcessor(failing={"a.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    receipt = submit(uploader, file())
    settled(receipt)
    (dead,) = uploader.get_details()["dead"]
    assert dead["id"] == receipt.id
    assert "cannot send a.csv" in dead["error"]
    processor.failing.clear()
    assert uploader.retry_dead(receipt.id) == 1
    uploader.stop()
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 1, "total_failed": 0, "queue_size": 0}
