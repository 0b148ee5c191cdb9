"""A processor of the user's own: what it is called with, from which thread, and what its failures cost."""

import logging
import threading

from iris_communication.errors import TransferFailed
from iris_communication.item import Delivered
from tests.contract.fixed_names.uploading import SERVER, GatedProcessor, RecordingProcessor, settled, submit


def test_a_processor_gets_the_server_the_file_under_its_own_name_the_settings_and_the_folder_type(make_uploader, file):
    processor = RecordingProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    settled(submit(uploader, file("model_a.csv", b"content"), folder_type="classifier"))
    ((name, content, info, settings, folder_type),) = processor.calls
    assert (name, content, settings, folder_type) == ("model_a.csv", b"content", {"project": "line-1"}, "classifier")
    assert SERVER.items() <= info.items()


def test_a_processor_is_called_one_request_at_a_time_in_a_thread_of_its_own(make_uploader, file):
    processor = RecordingProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    settled(*[submit(uploader, file(f"{number}.csv")) for number in range(20)])
    assert processor.most_under_way == 1
    assert len(processor.threads) == 1
    assert processor.threads.isdisjoint({"iris-uploader", "iris-writer", threading.main_thread().name})


def test_a_file_may_be_deleted_once_it_is_accepted(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    path = file(content=b"kept")
    receipt = submit(uploader, path)
    path.unlink()
    processor.let.set()
    settled(receipt)
    assert processor.calls[0][1] == b"kept"


def test_an_exception_and_a_returned_false_are_failed_attempts_and_cost_no_other_file(make_uploader, file, caplog):
    processor = RecordingProcessor(failing={"raises.csv"}, answering_false={"false.csv"})
    uploader = make_uploader(processor)
    uploader.start()
    with caplog.at_level(logging.ERROR):
        receipts = [submit(uploader, file(name)) for name in ("raises.csv", "false.csv", "good.csv")]
        settled(*receipts)
    assert [type(receipt.outcome) for receipt in receipts] == [TransferFailed, TransferFailed, Delivered]
    assert uploader.get_stats() == {"total_queued": 3, "total_uploaded": 1, "total_failed": 2, "queue_size": 0}
    attempts = [call[0] for call in processor.calls]
    assert attempts.count("raises.csv") == attempts.count("false.csv") == 8
    assert "ValueError: cannot send raises.csv" in caplog.text
    assert "Traceback" in caplog.text
