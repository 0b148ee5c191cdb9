"""A receipt: durability, delivery, and the error that ended its file."""

import pytest

from iris_communication.errors import LinkTimeout, TransferFailed
from tests.contract.fixed_names.uploading import WAIT_S, GatedProcessor, RecordingProcessor, submit


def test_a_receipt_reports_durability_delivery_and_outcome(make_uploader, file):
    processor = GatedProcessor()
    uploader = make_uploader(processor)
    uploader.start()
    receipt = submit(uploader, file(content=b"1234"))
    receipt.wait_durable(WAIT_S)
    assert receipt.outcome is None
    with pytest.raises(LinkTimeout):
        receipt.wait_delivered(0.0)
    processor.let.set()
    delivered = receipt.wait_delivered(WAIT_S)
    assert (delivered.final_path, delivered.size_bytes) == ("./line-1/model/a.csv", 4)
    assert receipt.outcome is delivered


def test_waiting_for_a_dead_file_raises_its_error(make_uploader, file):
    uploader = make_uploader(RecordingProcessor(failing={"a.csv"}))
    uploader.start()
    with pytest.raises(TransferFailed, match=r"cannot send a\.csv"):
        submit(uploader, file()).wait_delivered(WAIT_S)
