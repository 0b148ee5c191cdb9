"""The distribution without its extras, installed by pip into an empty environment: it delivers files, has no OpenCV,
numpy or onnxruntime, and says what to install where a camera or a model is asked for."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.architecture.test_requirements import locked
from tests.built_wheel import build_wheel
from tests.conftest import is_ci
from tests.servers.openssh import OpenSshServer
from tests.system.iris_process import IrisProcess

pytestmark = pytest.mark.long

SIZE_MB_MAX = 70
OF_THE_CAMERA = {"cv2", "numpy", "onnxruntime"}
INSTALL = "pip install 'iris-edge[camera]'"
SWITCHED_OFF = '[cameras.door]\nsource = "file:door.mp4"\nenabled = false\n'


class BaseInstallation:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "environment" / "bin"

    def install(self) -> None:
        """At the locked versions. Raises CalledProcessError when there is no registry to install from."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / "environment"], check=True)
        versions = self.folder / "versions.txt"
        versions.write_text("".join(f"{each}\n" for each, _ in locked(Path("requirements/runtime.txt"))))
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python", "--disable-pip-version-check", "install"]
        wheel = build_wheel(self.folder)
        subprocess.run(
            [*pip, "--quiet", "--only-binary=:all:", "--constraint", versions, wheel],
            env=os.environ | {"PIP_USER": "0", "PIP_NO_INPUT": "1"},
            capture_output=True,
            text=True,
            timeout=170,
            check=True,
        )

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("environment/lib/python*/site-packages")
        return found

    def iris(self, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [self.bin / "iris", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    installation = BaseInstallation(tmp_path_factory.mktemp("base"))
    try:
        installation.install()
    except subprocess.CalledProcessError as error:
        if is_ci():
            raise
        pytest.skip(f"pip has nothing to install from: {error.stderr[-300:]}")
    return installation


def test_the_base_is_small_and_holds_nothing_of_the_camera(installed, record_property):
    size_mb = sum(path.stat().st_size for path in installed.packages.rglob("*") if path.is_file()) / 1e6
    record_property("pip install of the base", f"{size_mb:.0f} MB")
    assert size_mb <= SIZE_MB_MAX
    assert {path.name for path in installed.packages.iterdir()} & OF_THE_CAMERA == set()


def test_a_file_is_delivered_to_a_real_server(installed, tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as server:
        received = tmp_path / "received"
        received.mkdir()
        facts = "".join(f"{key} = {json.dumps(value)}\n" for key, value in server.info(received).items())
        settings = tmp_path / "iris.toml"
        settings.write_text(f'[servers.plant]\n{facts}[outbox]\nfolder = "{tmp_path}/outbox"\n')
        (tmp_path / "report.csv").write_bytes(b"frame;part\n1;1\n")
        installed.iris("server", "test", "plant", "--config", settings)
        installed.iris("send", tmp_path / "report.csv", "--config", settings, "--project", "p")
        assert (received / "p/files/report.csv").read_bytes() == b"frame;part\n1;1\n"
        verified = installed.iris("ledger", "verify", "--remote", "--config", settings)
        assert "1" in verified.stdout


@pytest.mark.parametrize("verb", [("run",), ("demo",), ("check",), ("model", "check", "hog")], ids=" ".join)
def test_a_verb_that_needs_the_camera_says_in_one_line_what_to_install(installed, verb):
    said = installed.iris(*verb, status=2).stderr.splitlines()
    assert [line.endswith(INSTALL) for line in said if "caution" not in line and "mistake" not in line] == [True]


def test_settings_whose_cameras_are_switched_off_run_with_the_page(installed, tmp_path):
    settings = tmp_path / "iris.toml"
    settings.write_text(f'{SWITCHED_OFF}[outbox]\nfolder = "{tmp_path}/outbox"\n[web]\nport = 0\n')
    assert "can be used" in installed.iris("check", "--config", settings).stdout
    with IrisProcess(
        ["--config", settings], environment={"PYTHONPATH": ""}, command=(installed.bin / "iris", "run")
    ) as process:
        assert process.cameras()["door"]["state"] == "disabled"
        with urllib.request.urlopen(process.address, timeout=60) as page:
            assert b"<html" in page.read()
        assert process.end()[0] == 0
