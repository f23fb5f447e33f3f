"""The command's root: which commands there are, loaded only when used, and how every failure leaves the process.

Exit codes: 0 done, 1 failed, 2 used wrongly, 130 interrupted.
"""

import contextvars
import importlib
import io
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hyperinfer import __version__
from hyperinfer.cli.examples import examples
from hyperinfer.errors import HyperinferError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
NARROWEST, ROOMY = 20, 60
"""Columns of help: what it takes in any case, and from where on options have room on the left."""

SECTIONS: dict[str, dict[str, str]] = {
    "Ask": {
        "ask": "Ask a model one question.",
        "chat": "Talk with a model.",
        "models": "List the swarm's models; fetch and remove this machine's.",
        "ps": "Show what runs in the swarm now.",
    },
    "Run": {
        "up": "Run everything on this machine, in one process.",
        "worker": "Run one worker of a swarm.",
        "bridge": "Serve a gateway's API here, wherever the gateway is.",
        "dht": "Run a bootstrap node for a private swarm.",
        "status": "Show the workers of this machine, or what a gateway sees.",
        "top": "Watch the swarm: workers, models, requests, alerts.",
        "alerts": "List what is not well, and silence it.",
        "logs": "Show what workers have logged.",
    },
    "People": {
        "register": "Make an account at a gateway.",
        "login": "Log in to a gateway.",
        "logout": "End your session.",
        "whoami": "Show who you are, where, and by which credentials.",
        "profile": "List, use, name and remove the profiles of this machine.",
        "account": "Show, change, export or delete your account.",
        "password": "Change your password.",
        "reset": "Set a password by a one-time token.",
        "sessions": "List and end your sessions.",
        "keys": "List, make, change and revoke your API keys.",
        "usage": "Show what was used.",
        "quota": "Show your limits, and what is left.",
        "users": "Manage everybody's accounts and invitations.",
    },
    "Swarm": {
        "swarm": "Make a swarm, look at it, or bring it back.",
        "invite": "Print a code by which a machine joins.",
        "join": "Join a swarm by such a code.",
        "members": "Say which workers the swarm admits.",
        "link": "Print the links by which clients reach it.",
        "identity": "Print a worker's public key.",
    },
    "Machine": {
        "doctor": "Look this machine over, and say how to mend what is wrong.",
        "config": "Show the settings in force, and where files are.",
        "db": "Upgrade, back up, restore and check auth's database.",
        "audit": "Read the audit log, and verify it.",
        "driver": "Install or look at the swarm driver.",
        "completion": "Print what completes commands in your shell.",
        "help": "Show the help of a command.",
    },
}
"""Commands by section, each with its one line of help; the file of a command has its name."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run or asked for their help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the sections."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"hyperinfer.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant. Raises `NoSuchCommand` with those whose names are near."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Commands that begin so; nothing is imported for it."""
        from click.shell_completion import CompletionItem

        lines = {name: line for section in SECTIONS.values() for name, line in section.items()}
        found = [CompletionItem(name, help=line) for name, line in lines.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their sections; nothing is imported for it."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()), col_max=12)


class Help(click.HelpFormatter):
    """Help that fits the terminal, be it as narrow as a telephone's: click's own takes fifty columns at least."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        super().__init__(indent_increment, width, max_width)
        self.width = min(self.width, max(NARROWEST, shutil.get_terminal_size().columns - 2))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Two columns, the first of which leaves room for the second."""
        super().write_dl(rows, col_max if self.width >= ROOMY else min(col_max, self.width // 4), col_spacing)


click.Context.formatter_class = Help


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=examples("hyperinfer up", 'hyperinfer ask "What is 2 + 2?"', "hyperinfer COMMAND --help"),
)
@click.version_option(__version__, message="hyperinfer %(version)s")
def root() -> None:
    """Turn the machines you already have into one private AI API.

    Data, logs and configuration are under the working directory, or under HYPERINFER_HOME if that is set.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows what it can
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; every failure is told in one sentence on standard error. Returns the exit code."""
    given = None if arguments is None else list(arguments)
    try:
        # What a command chooses, such as a profile, lasts as long as it does.
        code = contextvars.copy_context().run(root.main, given, "hyperinfer", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _unread()
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except SystemExit as end:  # a shell has asked what could be typed next
        return end.code if isinstance(end.code, int) else EXIT_FAILURE
    except click.ClickException as error:
        return _misused(error)
    except Exception as error:  # noqa: BLE001 - the edge of the process: nothing leaves it but a sentence
        return _unread() if all(isinstance(leaf, BrokenPipeError) for leaf in _leaves(error)) else _failed(error)
    return code if isinstance(code, int) else 0


def _unread() -> int:
    """Whoever reads our output is gone. What is left in the buffer has no reader either: thrown away, so that the interpreter
    does not complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILURE


def _misused(error: click.ClickException) -> int:
    from hyperinfer.cli.manner import complain

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".") + "."
    if isinstance(error, click.exceptions.NoSuchOption | click.exceptions.NoSuchCommand):
        message = f"{error.message.rstrip('.')}. {_instead(error, context)}".rstrip()
    path = context.command_path if context else "hyperinfer"
    complain(f"{message} See `{path} --help`." if isinstance(error, click.UsageError) else message)
    return error.exit_code


def _instead(
    error: click.exceptions.NoSuchOption | click.exceptions.NoSuchCommand, context: click.Context | None
) -> str:
    """What may have been meant by what there is not: the nearest name, or else every option."""
    if error.possibilities:
        return f"Did you mean {error.possibilities[0]!r}?"
    if context is None or isinstance(error, click.exceptions.NoSuchCommand):
        return ""
    options = [one for one in context.command.get_params(context) if isinstance(one, click.Option) and not one.hidden]
    return f"There is {', '.join(max(one.opts, key=len) for one in options)}."


def _failed(error: Exception) -> int:
    import traceback

    from hyperinfer.cli.manner import complain, sentence
    from hyperinfer.kernel.config import debug

    for leaf in _leaves(error):
        complain(sentence(leaf) if isinstance(leaf, HyperinferError) else _unexpected(leaf))
    if debug():
        traceback.print_exception(error, file=sys.stderr)
    return EXIT_FAILURE


def _unexpected(error: Any) -> str:
    return f"hyperinfer failed: {type(error).__name__}: {error}. Run again with DEBUG=1 to see where."


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for child in error.exceptions for leaf in _leaves(child)]
    return [error]
