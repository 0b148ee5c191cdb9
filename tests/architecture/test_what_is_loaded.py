"""What an import loads: checking a request loads nothing of the delivery."""

import sys

from tests.own_process import in_a_process_of_its_own

WHAT_DELIVERS = (
    "asyncssh",
    "cryptography",
    "iris_communication.delivery",
    "iris_communication.sftp",
    "iris_communication.transport",
)


def loaded() -> set[str]:
    return {name for name in WHAT_DELIVERS if name in sys.modules}


@in_a_process_of_its_own
def test_checking_a_request_loads_nothing_of_what_delivers():
    from iris_communication.server.facts import parse_server
    from iris_communication.settings import DeliverySettings
    from iris_communication.upload_request import SftpUploadRequest, accept_message

    server = {"host": "sftp.example", "username": "iris", "host_key": "SHA256:" + "n" * 43, "private_key": "/keys/id"}
    request = SftpUploadRequest(server, "/records/a.csv", "line-1", "model")
    accept_message(request, DeliverySettings(), parse_server)
    assert loaded() == set()
