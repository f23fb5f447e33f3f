"""How many files a process may have open, of which each connection is one: systems begin low, and let it ask for more."""

import sys

MOST = 65_536
"""More than any process here needs; some systems slow down with the bound."""


def allowed() -> int:
    """How many a process of ours may have open, once it has asked; 0 where there is no bound."""
    if sys.platform == "win32":
        return 0
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _wanted(soft, hard, resource.RLIM_INFINITY)
    return 0 if wanted == resource.RLIM_INFINITY else wanted


def allow() -> None:
    """Ask for as many as this process may have."""
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _wanted(soft, hard, resource.RLIM_INFINITY)
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _wanted(soft: int, hard: int, endless: int) -> int:
    """What to ask for; never less than there is."""
    if soft == endless:
        return soft
    return max(soft, MOST if hard == endless else min(hard, MOST))
