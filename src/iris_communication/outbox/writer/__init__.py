"""The one thread that changes what is owed. `PUBLIC` is what others import of it: the writer itself, what it is sent
and what it answers; the other modules are its own."""

PUBLIC = ("last_answer", "messages", "receipt", "refusals", "snapshot", "writer")
