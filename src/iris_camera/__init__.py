"""Iris, the application: from the camera to the outbox of `iris_communication`."""
