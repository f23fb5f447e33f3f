"""What verifying the audit log has shown, for people and for programs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from hyperinfer.cli.manner import note, say
from hyperinfer.cli.table import show_table
from hyperinfer.workers.auth.audit.here import Report
from hyperinfer.workers.auth.audit.verify import Progress
from hyperinfer.workers.auth.audit.walk import Problem

FOUND = {
    "altered": "altered",
    "removed": "removed",
    "cut_off": "cut off",
    "added": "added",
    "replaced": "replaced",
    "head": "wrong head",
    "key": "wrong key",
}


@contextmanager
def progress() -> Iterator[Progress]:
    """How far verifying has come, as a bar on a terminal."""
    with click.progressbar(length=1, label="Verifying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def show(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield show


def tell(report: Report) -> None:
    """Print it for people."""
    verdict = report.verdict
    if report.begin.at:
        note(f"Rows up to {report.begin.seq:,} are not verified: on {report.begin.at:%Y-%m-%d} the log was begun anew.")
    looked = f"{_counted(verdict.rows, 'row')}, {_counted(verdict.heads, 'published head')}"
    if report.intact:
        say(f"The audit log is intact: {looked}.")
        return
    if verdict.problems:
        show_table(("rows", "found", "which means"), [_line(one) for one in verdict.problems])
    if verdict.found > len(verdict.problems):
        say(f"… and {verdict.found - len(verdict.problems):,} more.")
    if report.damaged:
        say(f"{report.damaged:,} lines of the file audit.heads are damaged.")
    say(f"The audit log is not intact: {looked}.", fg="red")


def plain(report: Report) -> dict[str, Any]:
    """The same for programs."""
    verdict = report.verdict
    return {
        "intact": report.intact,
        "rows": verdict.rows,
        "last": verdict.last,
        "heads": verdict.heads,
        "damaged_heads": report.damaged,
        "unverified": report.begin.seq,
        "found": verdict.found,
        "problems": [
            {"kind": one.kind, "first": one.first, "last": one.last, "said": one.said} for one in verdict.problems
        ],
    }


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _line(one: Problem) -> tuple[str, str, str]:
    rows = f"{one.first}" if one.first == one.last else f"{one.first}-{one.last}"
    return rows, FOUND[one.kind], one.said
