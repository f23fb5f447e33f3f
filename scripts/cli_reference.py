"""Writes docs/reference/cli.md from the commands themselves; a test holds the two together."""

from collections.abc import Iterator
from pathlib import Path

import click

from hyperinfer.cli.root import SECTIONS, root

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"

HEAD = """# Commands

<!-- Written by scripts/cli_reference.py from the commands; change those, then run it again. -->

`hyperinfer COMMAND --help` says more of each, with examples. This page is the overview.

* **Results** go to standard output, everything else to standard error. `--json` prints results for scripts, in snake_case. Colours are for terminals, and
  off with `NO_COLOR`.
* **Exit codes**: 0 done, 1 failed (one sentence says why and what to do), 2 used wrongly, 130 interrupted.
* **Passwords, keys and tokens** are never arguments: they are asked for, or read from standard input, a line each. A new one is printed this once.
* **The profile** is `hyperinfer/profile.json` in your folder for configuration, readable by you alone. Models are asked with its API key if it holds one,
  else in its session; the account is looked after in the session. `--gateway URL` names another gateway than the one used last, `--profile NAME` another
  profile; `HYPERINFER_GATEWAY`, `HYPERINFER_PROFILE` and `HYPERINFER_API_KEY` do for a whole shell. See [the command line](../guides/command-line.md).
* `-h` and `--help` are left out below. DEBUG=1 shows where something failed.
"""


def page() -> str:
    """The page."""
    return HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    context = click.Context(root)
    for title, names in SECTIONS.items():
        yield f"\n## {title}\n\n| command | what | options |\n|---|---|---|\n"
        for name in names:
            command = root.get_command(context, name)
            assert command is not None
            yield from _rows(command, f"hyperinfer {name}")


def _rows(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    if not isinstance(command, click.Group):
        yield _row(command, path, context)
        return
    if command.invoke_without_command:
        yield _row(command, path, context)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _rows(child, f"{path} {name}")


def _row(command: click.Command, path: str, context: click.Context) -> str:
    arguments = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    options = [_option(one, context) for one in command.params if isinstance(one, click.Option) and not one.hidden]
    line = " ".join([path, *arguments])
    return f"| `{line}` | {_sentence(command.help or '')} | {', '.join(options)} |\n"


def _option(option: click.Option, context: click.Context) -> str:
    name = max(option.opts, key=len)
    if option.secondary_opts:
        return f"`{name}`/`{option.secondary_opts[0]}`"
    if option.is_flag:
        return f"`{name}`"
    if isinstance(option.type, click.Choice):
        choices = "\\|".join(map(str, option.type.choices))
        return f"`{name} {choices}`"
    return f"`{name} {option.make_metavar(context)}`"


def _sentence(text: str) -> str:
    """The first sentence of a help, which is its first paragraph or a part of it."""
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    end = first.find(". ")
    return (first if end < 0 else first[: end + 1]).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
