"""The one thread that changes the outbox. `PUBLIC` lists the modules that other packages may import: the writer, its
messages and its answers; the other modules are private to this package."""

PUBLIC = ("last_answer", "messages", "receipt", "refusals", "snapshot", "writer")
