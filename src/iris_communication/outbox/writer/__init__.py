"""The one thread that changes the outbox. `PUBLIC` lists the modules that other packages may import: the writer, its
messages, its answers and what it holds; the other modules are private to this package."""

PUBLIC = ("held_bytes", "last_answer", "messages", "receipt", "refusals", "snapshot", "writer")
