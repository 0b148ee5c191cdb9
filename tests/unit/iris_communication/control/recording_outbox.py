"""An outbox for the tests of the control socket: it remembers what it was asked."""

from types import SimpleNamespace

from iris_communication.errors import OutboxFull


class RecordingOutbox:
    def __init__(self, unknown=(), refusing=()):
        self.asked = []
        self._unknown = unknown
        self._refusing = refusing

    def retry(self, ids):
        return self._done("retry", ids)

    def drop(self, ids):
        return self._done("drop", ids)

    def set_priority(self, ids, priority):
        return self._done("set_priority", ids, priority)

    def submit_requests(self, requests):
        self.asked.append(("submit_requests", requests))
        return [self._submitted(request.file_path) for request in requests]

    def _submitted(self, path):
        if path in self._refusing:
            return OutboxFull(f"{path} is too much", hint="wait")
        return [SimpleNamespace(id=f"id of {path}")]

    def pause(self, server_key):
        self.asked.append(("pause", server_key))

    def resume(self, server_key):
        self.asked.append(("resume", server_key))

    def _done(self, name, ids, *facts):
        self.asked.append((name, ids, *facts))
        return {item_id: "no such item" if item_id in self._unknown else "" for item_id in ids}
