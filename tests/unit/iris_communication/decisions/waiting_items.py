"""Items for the tests of decisions, which look at very little of them."""

from iris_communication.item import Fingerprint, Item, State, Take


def a_waiting_item(number, size_bytes=1, priority=0, state=State.WAITING):
    return Item(
        id=f"item-{number}",
        sequence=number,
        server_key="iris@sftp.example.org:22",
        source_path=f"/records/{number}.csv",
        remote_path=f"in/{number}.csv",
        folder_type="model",
        project_settings={},
        take=Take.COPY,
        fingerprint=Fingerprint(1, number, size_bytes, 0, "00"),
        accepted_s=0.0,
        priority=priority,
        state=state,
    )
