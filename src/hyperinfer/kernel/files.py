"""Files that must never be seen half-written, and files that nobody else may read."""

import os
import stat
import tempfile
from pathlib import Path

from hyperinfer.errors import IdentityError


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file in one step and sync it: after a crash the old or the new content is there, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in a folder survive a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_secret(path: Path, size_bytes: int, what: str) -> None:
    """Make a file of random bytes for its owner alone, unless another process was first: its file stays.

    Raises `IdentityError` if it cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(size_bytes))
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails where another process was first.
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise IdentityError(f"Cannot write {what} {path}: {error.strerror}.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


NO_BACKUP = "move it away and this machine gets a new one, which others must admit anew"


def read_secret(path: Path, size_bytes: int, what: str, *, no_backup: str = NO_BACKUP) -> bytes:
    """The content of a secret file of a fixed size; `no_backup` says what to do about a damaged one without a copy.

    Raises `IdentityError` if it is unreadable, of another size, or readable by anyone but its owner.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise IdentityError(f"Cannot read {what} {path}: {error.strerror}.") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise IdentityError(f"Others can read {what} {path}; run: chmod 600 {path}")
    if len(content) != size_bytes:
        raise IdentityError(
            f"{what} {path} is damaged: {len(content)} bytes instead of {size_bytes}. Restore it from a backup; "
            f"if there is none, {no_backup}."
        )
    return content
