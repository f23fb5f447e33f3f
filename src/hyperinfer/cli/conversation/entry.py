"""Where a chat's lines come from: a person at a terminal, who edits them, or a pipe."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hyperinfer.cli.conversation import words
from hyperinfer.cli.manner import note
from hyperinfer.kernel.config import plain

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.output import Output

CONTINUED = "\\"


class Entry(Protocol):
    """Gives one message after the other."""

    def read(self) -> str | None:
        """The next message; nothing where there are no more."""
        ...


class PipedLines:
    """Standard input, a line each."""

    def read(self) -> str | None:
        """The next line that is not empty."""
        for line in sys.stdin:
            if line.strip():
                return line.strip()
        return None


class TypedLines:
    """A person at a terminal: Enter sends, Alt-Enter or a backslash before Enter begins a new line, a paste is one message.

    Reads on the loop of the conversation, so that its connections live on meanwhile.
    """

    def __init__(self, runner: asyncio.Runner, history: Path | None) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.formatted_text import FormattedText
        from prompt_toolkit.output import ColorDepth
        from prompt_toolkit.shortcuts import CompleteStyle

        from hyperinfer.cli.conversation.history import ChatHistory

        self._runner = runner
        self._session: PromptSession[str] = PromptSession(
            message=FormattedText([("bold ansicyan", "> ")]),
            prompt_continuation="  ",
            multiline=True,
            history=ChatHistory(history),
            key_bindings=_keys(),
            completer=_completer(),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            enable_open_in_editor=True,
            color_depth=ColorDepth.DEPTH_1_BIT if plain() else None,
            output=_output(),
        )

    def read(self) -> str | None:
        """The next message. Ctrl-C throws away what has been typed."""
        while True:
            try:
                message = self._runner.run(self._session.prompt_async(handle_sigint=False)).strip()
            except EOFError:
                return None
            except KeyboardInterrupt:
                note("(Ctrl-D ends the chat.)")
                continue
            if message:
                return message


def _keys() -> "KeyBindings":
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: Any) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith(CONTINUED) and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor(len(CONTINUED))
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _completer() -> "Completer":
    """Tab completes orders."""
    from prompt_toolkit.completion import WordCompleter

    return WordCompleter([words.SLASH + name for name in words.NAMES], sentence=True)


def _output() -> "Output":
    """The terminal; the prompt goes to standard error where the answers go to a file. It is never asked where its cursor is:
    not every terminal answers, and the answer would be taken for what is typed."""
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.output import create_output

    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    if sys.platform == "win32":
        return create_output(stdout=stream)
    from prompt_toolkit.output.vt100 import Vt100_Output

    def size() -> Size:
        columns, rows = shutil.get_terminal_size()
        return Size(rows=rows, columns=columns)

    return Vt100_Output(stream, size, term=None, enable_cpr=False)
