"""Fetch a model from a hub: whole, checked against its hash before it gets its name, gone on with where it was cut."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from hyperinfer.errors import BadRequest, Conflict, TooLarge, Unavailable, Untrusted
from hyperinfer.workers.inference.backends.llamacpp.folder import look
from hyperinfer.workers.inference.hub import variants
from hyperinfer.workers.inference.hub.client import Cut, Hub, Listing
from hyperinfer.workers.inference.hub.notes import Note, Place, read
from hyperinfer.workers.inference.hub.part import Part, sha256_of
from hyperinfer.workers.inference.hub.variants import HubFile, Variant
from hyperinfer.workers.inference.hub.wanted import Wanted

MAGIC = b"GGUF"
RESERVE_BYTES = 1024**3
"""What stays free on the disk: a full one is bad for everything else on the machine."""
MAX_CUTS = 100
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""How long to wait after each cut before the next try; after the last, or `MAX_CUTS` in all, it is given up."""
LOCK_TIMEOUT_S = 3600.0


class Progress(Protocol):
    """Is told how far it is."""

    def file(self, name: str, size_bytes: int) -> None:
        """A file begins."""

    def at(self, come_bytes: int) -> None:
        """So much of it is there."""

    def note(self, text: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that is there now; `fetched_bytes` came this time."""

    model: str
    repo: str
    commit: str
    files: tuple[Path, ...]
    size_bytes: int
    fetched_bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be had: which, where, and its note."""

    file: HubFile
    place: Place
    note: Note


class Pull:
    """One model, to be fetched into the models' folder. Blocks; `pause` waits so many seconds between two tries."""

    def __init__(
        self, hub: Hub, root: Path, progress: Progress, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._hub = hub
        self._root = root
        self._progress = progress
        self._pause = pause

    def run(self, wanted: Wanted, *, revision: str | None = None, with_projector: bool = False) -> Pulled:
        """Fetch it. What breaks it off, Ctrl-C included, leaves a part with which the next call goes on.

        Raises `NotFound`, `BadRequest`, `Unauthenticated`, `Forbidden` or `Unavailable` as the hub says, `TooLarge` for
        the disk, `Conflict` for a file of that name from elsewhere, `Untrusted` for wrong bytes.
        """
        listing = self._hub.listing(wanted.repo, revision)
        try:
            return self._run(listing, wanted, with_projector=with_projector)
        except OSError as error:
            raise Unavailable(
                f"Cannot write to {self._root}: {error.strerror or error}. What has come is kept; pull again to go on."
            ) from error

    def _run(self, listing: Listing, wanted: Wanted, *, with_projector: bool) -> Pulled:
        variant = variants.choose(listing.files, wanted)
        also = variants.projector(listing.files, wanted) if with_projector else None
        pieces = self._pieces(listing, variant, also)
        self._refuse_twin(variant, pieces)
        missing = [piece for piece in pieces if not self._is_there(piece)]
        self._check_room(missing)
        for piece in missing:
            piece.place.want(piece.note)
        fetched = [self._fetch_alone(listing, piece) for piece in missing]
        return Pulled(
            model=variant.model,
            repo=listing.repo,
            commit=listing.commit,
            files=tuple(piece.place.target for piece in pieces),
            size_bytes=sum(piece.file.size_bytes for piece in pieces),
            fetched_bytes=sum(fetched),
        )

    def _pieces(self, listing: Listing, variant: Variant, also: HubFile | None) -> list[Piece]:
        files = {file.name: file for file in variant.files}
        if also is not None:  # so named, it belongs to this model for workers too, whatever else is in the folder
            files[f"{variant.stem}.mmproj.gguf"] = also
        whole = sum(file.size_bytes for file in files.values())
        for file in files.values():
            if not file.sha256 or not file.size_bytes:
                raise BadRequest(
                    f"The hub tells no hash of {file.path}, so that nobody could say whether it came whole."
                )
        return [
            Piece(
                file,
                Place(self._root / listing.repo / name),
                Note(
                    repo=listing.repo,
                    path=file.path,
                    commit=listing.commit,
                    sha256=file.sha256,
                    size_bytes=file.size_bytes,
                    model=variant.model,
                    model_bytes=whole,
                ),
            )
            for name, file in files.items()
        ]

    def _refuse_twin(self, variant: Variant, pieces: Sequence[Piece]) -> None:
        """Workers tell models apart by their names alone, and of two would show one."""
        own = {piece.place.target for piece in pieces}
        for found in look(self._root):
            if found.name == variant.model and not own & {file.path for file in found.files}:
                raise Conflict(
                    f"There is a model {found.name} already, from elsewhere: {found.path}. Remove it first with "
                    f"`hyperinfer models rm {found.name}`."
                )

    def _is_there(self, piece: Piece) -> bool:
        """Whether this very file is there. Raises `Conflict` for one that somebody else has put there."""
        target, had = piece.place.target, read(piece.place.had)
        if not target.is_file():
            return False
        is_same_size = target.stat().st_size == piece.file.size_bytes
        if had is not None:
            return is_same_size and had.sha256 == piece.file.sha256
        self._progress.note(f"Checking {target.name}, which is there already.")
        if is_same_size and sha256_of(target) == piece.file.sha256:
            piece.place.have(piece.note)
            return True
        raise Conflict(f"{target} is there already, and is another file than the hub's. Move it away first.")

    def _check_room(self, missing: Sequence[Piece]) -> None:
        if not missing:
            return
        self._root.mkdir(parents=True, exist_ok=True)
        come = sum(piece.place.come_bytes for piece in missing)
        needed = sum(piece.file.size_bytes for piece in missing) - come + RESERVE_BYTES
        free = shutil.disk_usage(self._root).free
        if needed > free:
            raise TooLarge(
                f"The disk of {self._root} has {gigabytes(free)} free; it takes {gigabytes(needed)}, of which "
                f"{gigabytes(RESERVE_BYTES)} stay free. {gigabytes(needed - free)} are missing.",
                limit_bytes=free,
            )

    def _fetch_alone(self, listing: Listing, piece: Piece) -> int:
        """Fetch a file while nobody else does; how many bytes came."""
        with self._locked(piece.place):
            if self._is_there(piece):  # another process has fetched it meanwhile
                return 0
            piece.place.want(piece.note)
            with Part(piece.place.part) as part:
                return self._fetch(listing, piece, part)

    @contextmanager
    def _locked(self, place: Place) -> Iterator[None]:
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._progress.note(f"Another process is pulling {place.target.name}; waiting for it.")
            try:
                lock.acquire(timeout=LOCK_TIMEOUT_S, poll_interval=0.2)
            except Timeout as error:
                raise Unavailable(f"Another process has been pulling {place.target.name} for too long.") from error
        try:
            yield
        finally:
            lock.release()

    def _fetch(self, listing: Listing, piece: Piece, part: Part) -> int:
        file = piece.file
        self._progress.file(file.name, file.size_bytes)
        self._progress.at(part.size_bytes)
        if part.size_bytes:
            self._progress.note(f"Going on with {file.name} at {gigabytes(part.size_bytes)}.")
        came = in_vain = cuts = 0
        while part.size_bytes < file.size_bytes:
            before = came
            try:
                for count in self._pour(listing, file, part):
                    came += count
                cut = "it ended too early"
            except Cut as error:
                cut = str(error)
            if part.size_bytes < file.size_bytes:
                in_vain = 0 if came > before else in_vain + 1
                cuts += 1
                if in_vain >= len(PAUSES_S) or cuts > MAX_CUTS:
                    raise Unavailable(
                        f"The connection to the hub was cut again and again ({cut}). What has come is kept: pull again to go on."
                    )
                self._pause(PAUSES_S[in_vain])
        self._finish(piece, part)
        return came

    def _pour(self, listing: Listing, file: HubFile, part: Part) -> Iterator[int]:
        """Add what comes to what is there; how much, piece by piece."""
        with self._hub.reading(listing, file.path, begin=part.size_bytes) as body:
            if body.begins_at != part.size_bytes:
                part.empty()
            for piece in body.pieces:
                part.write(piece)
                if not part.begins_with(MAGIC):
                    part.discard()
                    raise BadRequest(f"{file.path} is no GGUF file, whatever its name says. It was not kept.")
                if part.size_bytes > file.size_bytes:
                    part.discard()
                    raise Untrusted(f"The hub sends more of {file.path} than it has announced. It was not kept.")
                self._progress.at(part.size_bytes)
                yield len(piece)

    def _finish(self, piece: Piece, part: Part) -> None:
        if part.sha256 != piece.file.sha256:
            part.discard()
            raise Untrusted(
                f"What came as {piece.file.path} is not what the hub announced: its hash (SHA-256) is another. It was "
                "removed; pull again."
            )
        part.name(piece.place.target)
        piece.place.have(piece.note)


def gigabytes(size_bytes: int) -> str:
    """A size as people read it."""
    if size_bytes >= 10**9:
        return f"{size_bytes / 10**9:.1f} GB"
    return f"{size_bytes / 10**6:.1f} MB"
