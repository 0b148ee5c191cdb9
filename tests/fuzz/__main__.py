"""Coverage-guided fuzzing of the decoder and of whole conversations, for some seconds.

    python -m tests.fuzz --seconds 60

New inputs that reach new code are kept in a folder of the system's temporary ones; a failing input is written there,
and its path is printed: put it into tests/fuzz/corpus, where `make test` runs it for ever.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["iris_communication.sftp"]):
    from tests.fuzz.target import check

CORPUS = Path(__file__).with_name("corpus")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="iris-fuzz-"))
    options = [f"-max_total_time={arguments.seconds}", "-timeout=10", "-max_len=400", f"-artifact_prefix={kept}/"]
    sys.stderr.write(f"inputs that reach new code, and what fails: {kept}\n")
    atheris.Setup([sys.argv[0], *options, str(kept), str(CORPUS)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
