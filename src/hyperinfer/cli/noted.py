"""What commands do to the swarm and to auth's data goes to the audit log, whether auth runs or not."""

from pathlib import Path

from hyperinfer.cli.places import load, paths
from hyperinfer.facilities.clock import SystemClock


def noted(action: str, *, data: Path | None = None, **details: str) -> None:
    """Write down, in auth's data folder, what was just done on this machine; it is a row once auth has taken it in.

    Raises `Unavailable` if it cannot be written.
    """
    from hyperinfer.workers.auth.audit.aside import note_aside

    note_aside(data or _data(), action, now=SystemClock().now(), details=details)


def _data() -> Path:
    """The data folder of this machine's auth, whatever name it was given."""
    default = paths(load("auth")).data
    known = (folder for folder in (default, *sorted(default.parent.glob("auth-*"))) if (folder / "identity").exists())
    return next(known, default)
