"""How many files the process may have open. Many systems set 1,024, because older programs fail with more, and let
each program raise that itself. Cameras, connections to servers, files being sent and pages all need descriptors.

Only the application raises the limit: a library must not change the limits of the process that uses it.
"""

import logging
import resource

log = logging.getLogger(__name__)

WANTED = 8192
FEW = 512


def raise_limit() -> int:
    """Raise the limit to `WANTED`, or as far as allowed; returns how many files the process may open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return WANTED
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays at %d: %s", soft, error)
    if soft < FEW:
        log.warning("only %d files may be open: raise the limit (ulimit -n, or LimitNOFILE of its unit)", soft)
    return soft
