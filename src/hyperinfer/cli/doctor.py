"""`hyperinfer doctor`: look this machine over, and say how to mend what is wrong."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples

if TYPE_CHECKING:
    from hyperinfer.cli.checks import Finding
    from hyperinfer.cli.checks.examination import Part

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
PLAIN_MARKS = {"ok": "ok", "warn": "!", "fail": "x"}
WIDEST = 100


@click.command(
    "doctor", epilog=examples("hyperinfer doctor", "hyperinfer doctor --gateway hyper://…", "hyperinfer doctor --json")
)
@options.as_json
@options.env
@options.gateway
@click.pass_context
def command(context: click.Context, as_json: bool, env: str | None, gateway: str | None) -> None:
    """Look this machine over, and say how to mend what is wrong.

    Python, memory and disks, folders and ports; settings; the swarm driver, the DHT and what the router here does; models
    and the servers that have them; the database; the gateway that you use, and your credential there. Nothing is made or
    changed. Exit code 0 if nothing is in the way of working, otherwise 1.
    """
    from hyperinfer.cli.checks import Verdict, examination
    from hyperinfer.cli.manner import show_json

    place = examination.here(env=env, named=gateway)
    with _progress() as show:
        parts = asyncio.run(examination.examine(place, show=show))
    verdict = examination.worst(parts)
    if as_json:
        rows = [
            {"part": part.name.lower(), "what": one.what, "verdict": one.verdict, "found": one.found, "mend": one.mend}
            for part in parts
            for one in part.findings
        ]
        show_json({"verdict": verdict, "findings": rows})
    else:
        _show(parts)
    context.exit(1 if verdict is Verdict.FAIL else 0)


def _show(parts: "Sequence[Part]") -> None:
    from hyperinfer.cli.manner import note, say

    for part in parts:
        if part.findings:
            say(part.name, bold=True)
            for finding in part.findings:
                _show_one(finding)
    bad = [finding for part in parts for finding in part.findings if finding.verdict != "ok"]
    fails = sum(finding.verdict == "fail" for finding in bad)
    say()
    if not bad:
        note("Nothing is wrong here.")
    else:
        note(summary(fails, len(bad) - fails))


def summary(fails: int, warnings: int) -> str:
    """What there is to do, in a sentence."""
    said = []
    if fails:
        said.append(f"{fails} {'thing is' if fails == 1 else 'things are'} in the way")
    if warnings:
        said.append(f"{warnings} worth a look")
    return f"{', '.join(said)}; what to do is behind each ->."


def _show_one(finding: "Finding") -> None:
    from hyperinfer.cli.manner import ascii_only, printable, say

    mark, colour = MARKS[finding.verdict]
    say("  ", end="")
    say(PLAIN_MARKS[finding.verdict] if ascii_only() else mark, end="", fg=colour)
    say(_wrapped(f" {finding.what}: {printable(finding.found)}", "    "))
    if finding.mend:
        say(_wrapped(f"    -> {printable(finding.mend)}", "       "))


def _wrapped(text: str, indent: str) -> str:
    """Text that fits the terminal; a program gets each finding on a line."""
    import textwrap

    from hyperinfer.cli.table import terminal_width

    columns = terminal_width()
    if columns is None:
        return text
    width = max(20, min(columns, WIDEST)) - (0 if text.startswith("    ") else 3)
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


@contextmanager
def _progress() -> Iterator[Callable[[Sequence[str]], None]]:
    """A line on a terminal that says what is still being looked at."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    from hyperinfer.cli.manner import colours

    console = Console(stderr=True, no_color=colours() is False, highlight=False)
    with console.status("Looking …") as status:
        yield lambda left: status.update(f"Looking at {', '.join(left).lower()} …" if left else "Done.")
