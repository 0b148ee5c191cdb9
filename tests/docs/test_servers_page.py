"""docs/servers.md says what the table of the server matrix says."""

import os

from tests.integration.servers.page import PAGE, page, versions_in
from tests.integration.servers.table import ROWS
from tests.integration.servers.versions import installed_version


def test_the_page_is_what_the_table_says():
    """If not: UPDATE_DOCS=1 pytest tests/docs/test_servers_page.py, where `make system-packages` has been run: it also
    writes down the versions that are installed."""
    versions = versions_in(PAGE.read_text()) if PAGE.exists() else {}
    if os.environ.get("UPDATE_DOCS"):
        installed = {row.name: installed_version(row) for row in ROWS}
        PAGE.write_text(page(versions | {name: version for name, version in installed.items() if version}))
    assert PAGE.read_text() == page(versions_in(PAGE.read_text()))


def test_the_page_names_the_version_of_each_server():
    versions = versions_in(PAGE.read_text())
    assert [row.name for row in ROWS if not versions.get(row.name)] == []
