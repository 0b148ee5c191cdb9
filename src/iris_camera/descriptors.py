"""How many files the process may have open. Many systems begin with 1,024, since older programs bear no more, and let
each program ask for more itself. Cameras, connections to servers, files on their way and pages all need theirs.

Only the application asks: a library leaves the limits of the process it is used in alone.
"""

import logging
import resource

log = logging.getLogger(__name__)

WANTED = 8192
FEW = 512


def raise_limit() -> int:
    """As many as are wanted and allowed; how many the process may open now."""
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
