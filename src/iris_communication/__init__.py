"""Deliver files to SFTP servers from any program, without making it wait and without losing one.

`PUBLIC` are the modules, and the packages with all their modules, that a program may import. They change with a line in
CHANGELOG.md; everything else may change without one.
"""

PUBLIC = (
    "admin",
    "archive.unpack",
    "errors",
    "item",
    "outbox.orders",
    "plain_text",
    "runtime",
    "server",
    "settings",
    "sftp_processor",
    "sftp_uploader_thread",
    "testing",
)
