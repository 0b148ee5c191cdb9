"""Which version of a server is installed: what its package says, without the distribution's own revision."""

import importlib.metadata
import json
import re
import subprocess

from tests.integration.servers.libraries import Ssh2
from tests.integration.servers.table import ServerRow


def installed_version(row: ServerRow) -> str:
    """Empty where it is not installed."""
    if row.package in ("asyncssh", "paramiko"):
        return importlib.metadata.version(row.package)
    if row.package == "ssh2":
        facts = Ssh2.modules / "ssh2" / "package.json"
        return str(json.loads(facts.read_text())["version"]) if facts.exists() else ""
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", row.package]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False).stdout
    except FileNotFoundError:
        return ""
    status, _, version = said.partition(" ")
    return re.sub(r"^\d+:|[-+~].*", "", version) if status == "installed" else ""
