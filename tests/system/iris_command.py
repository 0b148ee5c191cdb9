"""`iris` on one outbox, in a process of its own."""

import os
from pathlib import Path

from tests.system import forked_iris

ROOT = Path(__file__).resolve().parents[2]


class IrisCommand:
    def __init__(self, outbox):
        self.outbox = outbox

    def __call__(self, *arguments, columns=None, said=None):
        """The process when it has ended. `columns`: of the terminal it believes to have; `said` to its input."""
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "TERM")}
        environment |= {"PYTHONPATH": str(ROOT / "src"), "IRIS_OUTBOX": str(self.outbox)}
        environment |= {"COLUMNS": str(columns)} if columns else {}
        return forked_iris.run(*arguments, cwd=self.outbox.parent, env=environment, said=said or b"")

    def output(self, *arguments, status=0, **options):
        """Its standard output; it has to end with `status` and an empty standard error."""
        done = self(*arguments, **options)
        assert done.returncode == status, (done.stdout.decode(), done.stderr.decode())
        assert done.stderr == b""
        return done.stdout.decode()
