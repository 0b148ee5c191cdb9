"""`python app.py` starts Iris; the two clean-up functions end it (see iris_camera.app)."""

import sys

from iris_camera.app import cleanup_on_exit, cleanup_threads, main

__all__ = ["cleanup_on_exit", "cleanup_threads", "main"]

if __name__ == "__main__":
    sys.exit(main())
