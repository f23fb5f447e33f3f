"""Reports that are kept: four files each in a folder of the worker's own, the last of which says that it is whole."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from hyperinfer.contracts.reports import Form, Kind, ReportRow
from hyperinfer.errors import Unavailable
from hyperinfer.kernel.files import write_atomic

OWNERS = 0o600
MAX_KEPT = 500
"""However long they are to be kept."""
SUFFIX: dict[Form, str] = {"html": ".html", "csv": ".csv", "text": ".txt"}

Post = Literal["none", "waiting", "sent", "failed"]
"""How it stands with mailing one: nobody gets it, it is to be sent, it has been, it could not be."""

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one report without reading it. `since` and `until` are its days."""

    name: str
    kind: Kind
    since: date
    until: date
    made_at: datetime
    requests: int
    total_tokens: int
    post: Post = "none"
    mailed_at: datetime | None = None

    @property
    def row(self) -> ReportRow:
        """The same as a list of reports shows it."""
        return ReportRow(
            name=self.name,
            kind=self.kind,
            since=self.since,
            until=self.until,
            made_at=_text(self.made_at),
            requests=self.requests,
            total_tokens=self.total_tokens,
            mailed_at=None if self.mailed_at is None else _text(self.mailed_at),
        )


class Shelf:
    """The folder. What is in it is read once, by `load`; the disk is written in threads. Raises `Unavailable` where it cannot be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Kept] = {}
        self._begun: date | None = None

    async def load(self, today: date) -> None:
        """Read what is there; the day on which that was done first is remembered."""
        with _usable(self._folder):
            self._begun, found = await asyncio.to_thread(self._read, today)
        self._kept = {one.name: one for one in found}

    @property
    def begun(self) -> date:
        """The day on which this shelf was made: reports of days before it were nobody's to make."""
        assert self._begun is not None, "load comes first"
        return self._begun

    @property
    def all(self) -> Sequence[Kept]:
        """Every report, the newest first."""
        return sorted(self._kept.values(), key=lambda one: (one.until, one.kind, one.since), reverse=True)

    def get(self, name: str) -> Kept | None:
        """One of them."""
        return self._kept.get(name)

    async def text(self, name: str, form: Form) -> str:
        """What is in it."""
        with _usable(self._folder):
            return await asyncio.to_thread((self._folder / f"{name}{SUFFIX[form]}").read_text, "utf-8")

    async def put(self, kept: Kept, texts: dict[Form, str]) -> None:
        """Keep a report in all its forms."""
        with _usable(self._folder):
            await asyncio.to_thread(self._write, kept, texts)
        self._kept[kept.name] = kept

    async def note(self, kept: Kept) -> None:
        """Remember something else of one that is there."""
        await self.put(kept, {})

    async def drop_old(self, before: date) -> int:
        """Remove those of what ended before a day, and the oldest beyond `MAX_KEPT`; says how many."""
        old = [one.name for at, one in enumerate(self.all) if one.until < before or at >= MAX_KEPT]
        if old:
            with _usable(self._folder):
                await asyncio.to_thread(self._remove, old)
        for name in old:
            del self._kept[name]
        return len(old)

    def _read(self, today: date) -> tuple[date, list[Kept]]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = self._folder / "begun"
        if not marker.exists():
            write_atomic(marker, today.isoformat().encode(), mode=OWNERS)
        found: list[Kept] = []
        for path in sorted(self._folder.glob("usage-*.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Kept))
            except msgspec.DecodeError:
                log.warning("report_unreadable", report=path.stem, do="it is made again if it is not too old")
        try:
            return date.fromisoformat(marker.read_text().strip()), found
        except ValueError:
            return today, found

    def _write(self, kept: Kept, texts: dict[Form, str]) -> None:
        for form, text in texts.items():
            write_atomic(self._folder / f"{kept.name}{SUFFIX[form]}", text.encode(), mode=OWNERS)
        write_atomic(self._folder / f"{kept.name}.json", msgspec.json.encode(kept), mode=OWNERS)

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            for suffix in (".json", *SUFFIX.values()):
                with suppress(FileNotFoundError):
                    (self._folder / f"{name}{suffix}").unlink()


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """What the disk refuses, as an error of ours: it may be willing later."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The folder of reports {folder} cannot be used: {error.strerror}.") from error


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
