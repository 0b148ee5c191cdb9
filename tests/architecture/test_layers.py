"""The contracts that `make check` holds the imports to leave no module out.

For iris_camera the contract itself is exhaustive; iris_communication's layers name single modules of a folder, which
the checker cannot count by itself.
"""

import tomllib

from tests.architecture.tree import ROOT, python_files

CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
USED_BY_TESTS_ONLY = "iris_communication.testing"  # stands beside the layers: it may imitate any of them


def modules_of(package: str) -> set[str]:
    files = [path.relative_to("src").with_suffix("") for path in python_files(f"src/{package}")]
    return {".".join(path.parts) for path in files if path.name != "__init__"}


def names_in(layer: str) -> list[str]:
    return [name.strip(" ()") for name in layer.split("|")]


def is_within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def test_every_module_of_the_library_has_a_layer():
    layers = {name for layer in CONTRACTS["communication-layers"]["layers"] for name in names_in(layer)}
    without = {name for name in modules_of("iris_communication") if not is_within(name, layers)}
    assert {name for name in without if not is_within(name, {USED_BY_TESTS_ONLY})} == set()


def test_every_layer_of_the_application_is_checked():
    assert CONTRACTS["camera-layers"]["exhaustive"] is True


def test_what_is_not_public_in_the_library_is_forbidden_to_the_application():
    looks = {"audit", "housekeeping", "remote_check", "repair", "server_trial", "unpack"}
    public = {"errors", "item", "private_keys", "settings", "sftp_processor", "sftp_uploader_thread"} | looks
    public |= {"amounts", "plain_text", "repeats", "safe_files", "server_facts", "supervised_thread"}
    rooms = {name.split(".")[1] for name in modules_of("iris_communication")} - public
    forbidden = {name.split(".")[1] for name in CONTRACTS["public-names-only"]["forbidden_modules"]}
    assert rooms <= forbidden
