"""Where a result goes that is asked for as a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hyperinfer.errors import BadRequest


@contextmanager
def target(out: Path | None) -> Iterator[IO[str]]:
    """Where to write: standard output, or a new file that is its owner's alone. Raises `BadRequest`."""
    if out is None:
        yield sys.stdout
        return
    try:
        out.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise BadRequest(f"{out} is there already; give the name of a new file.") from error
    except OSError as error:
        raise BadRequest(f"Cannot write {out}: {error.strerror}.") from error
    with out.open("w", encoding="utf-8", newline="") as file:
        yield file
