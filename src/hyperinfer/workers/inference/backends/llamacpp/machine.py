"""What the embedded engine needs of the machine, and how many threads it may take."""

import ctypes
import importlib.util
import os
import sys

from hyperinfer.errors import StartError


def check() -> None:
    """Raise `StartError` if the engine cannot run on this machine, with the command that helps."""
    if sys.platform == "win32":
        raise StartError("The embedded engine does not run on Windows yet; set llamacpp.enabled to false.")
    if importlib.util.find_spec("xllamacpp") is None:
        raise StartError(
            "The package xllamacpp is missing. Install hyperinfer again, or set llamacpp.enabled to false."
        )
    if sys.platform.startswith("linux"):
        check_library("libgomp.so.1")


def check_library(name: str) -> None:
    """Raise `StartError` if this shared library cannot be loaded."""
    try:
        ctypes.CDLL(name)
    except OSError as error:
        raise StartError(
            f"The embedded engine needs {name}. Install it with: apt-get install libgomp1 (Debian, Ubuntu), "
            "dnf install libgomp (Fedora)."
        ) from error


def threads(wanted: int | None) -> int:
    """How many threads to give the engine: those wanted, else one less than this process may use.

    With as many as there are, one busy process beside it makes every thread wait for the slowest.
    """
    if wanted is not None:
        return wanted
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available - 1)
