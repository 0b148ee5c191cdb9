"""The demo's line as a process that can be killed: `python line_process.py FOLDER SERVER_JSON [KILL_AT_FILE]`.

It keeps an account of its own beside the records: each row that was recorded is appended to FOLDER/account, with one
write, right after it was handed to the operating system. With KILL_AT_FILE it kills itself between closing that many
record files and queueing the last of them; without, it runs until SIGTERM.
"""

import json
import os
import signal
import sys
from pathlib import Path

from iris_camera import app, logs
from iris_camera.application import Application
from iris_camera.camera.frame import Frame
from iris_camera.config import CameraSettings, Config, OutboxSettings, ServerSettings, WebSettings
from iris_camera.controllers.observers import Observers
from iris_camera.inspection.inspector import Inspected
from iris_camera.records.csv_file import FinishedCsv
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.signals import listening_to_signals
from iris_communication.settings import DeliverySettings


def main() -> None:
    folder, server_info = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    kill_at_file = int(sys.argv[3]) if len(sys.argv) > 3 else None
    account = os.open(folder / "account", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    finished_count = 0

    def on_inspected(frame: Frame, inspected: Inspected) -> None:
        run = application.lineup.cameras[0].run
        rows = [f"model {run} {frame.number} {part.part_id}\n" for part in inspected.parts]
        rows += [f"classifier {run} {frame.number} {part.part_id}\n" for part, _ in inspected.verdicts]
        os.write(account, "".join(rows).encode())

    def on_finished(finished: FinishedCsv) -> None:
        nonlocal finished_count
        finished_count += 1
        if finished_count == kill_at_file:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.start_logging("WARNING")
    config = Config(
        cameras={"line-1": CameraSettings(source="synthetic", seed=7)},
        records=RecordSettings(folder=folder / "records", rows_max=40, age_s_max=0.3),
        evidence=EvidenceSettings(enabled=False),  # what is counted here is rows
        servers={"plant": ServerSettings(**server_info)},
        delivery=DeliverySettings(breaker_base_s=0.1, breaker_cap_s=0.5),
        outbox=OutboxSettings(folder=folder / "outbox"),
        web=WebSettings(port=0),
    )
    application = Application(config, observers=Observers(on_inspected, on_finished))
    with listening_to_signals(application.request_stop):
        app.start(application)
        sys.stdout.write(f"ready {application.web_address}\n")
        sys.stdout.flush()
        application.wait(60.0)
        app.cleanup_threads()


if __name__ == "__main__":
    main()
