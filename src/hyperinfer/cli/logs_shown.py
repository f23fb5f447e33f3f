"""How log lines are printed: for people a line each with colours, for programs as JSON."""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
import msgspec

from hyperinfer.cli.manner import colours
from hyperinfer.facilities.log.terminal import Terminal


def shower(*, as_json: bool, whole_ids: bool) -> Callable[[Mapping[str, Any]], None]:
    """Prints a line at once, so that it is seen where the output is a pipe too."""
    is_terminal = sys.stdout.isatty()
    terminal = Terminal(
        colours=is_terminal and colours() is not False,
        whole_ids=whole_ids or not is_terminal,
        today=datetime.now().astimezone().strftime("%Y-%m-%d"),
    )

    def show(event: Mapping[str, Any]) -> None:
        click.echo(msgspec.json.encode(event).decode() if as_json else terminal.line(event))

    return show
