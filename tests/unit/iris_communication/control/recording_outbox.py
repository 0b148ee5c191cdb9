"""An outbox for the tests of the control socket: it remembers what it was asked."""

from types import SimpleNamespace

from iris_communication.errors import OutboxFull
from iris_communication.outbox.orders import ServerOrder


class RecordingOutbox:
    def __init__(self, unknown=(), refusing=()):
        self.asked = []
        self._unknown = unknown
        self._refusing = refusing

    def execute(self, order):
        self.asked.append(order)
        if isinstance(order, ServerOrder):
            return {}
        return {item_id: "no such item" if item_id in self._unknown else "" for item_id in order.ids}

    def submit_requests(self, requests):
        self.asked.append(requests)
        return [self._submitted(request.file_path) for request in requests]

    def _submitted(self, path):
        if path in self._refusing:
            return OutboxFull(f"{path} is too much", hint="wait")
        return [SimpleNamespace(id=f"id of {path}")]
