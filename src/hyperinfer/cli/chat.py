"""`hyperinfer chat`: a conversation on the terminal. Ctrl-C stops an answer, Ctrl-D ends the chat."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.manner import colours, complain, for_output, note, say, sentence
from hyperinfer.errors import ContextExceeded, HyperinferError

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Message

HELP = """\
/model [NAME]   say which model answers, or change it
/models         list the models
/system [TEXT]  say how the model is to behave
/new            forget the conversation
/help           this
Ctrl-C stops an answer, Ctrl-D ends the chat."""


@click.command("chat")
@click.option("--model", metavar="NAME", help="The model to talk with; `hyperinfer models` lists them.")
@click.option("--system", metavar="TEXT", help="How the model is to behave.")
@options.gateway
def command(model: str | None, system: str | None, gateway: str | None) -> None:
    """Talk with a model.

    The answer appears as it is made. Ctrl-C stops the answer, not the chat; Ctrl-D ends the chat; /help lists what else
    can be typed.
    """
    from hyperinfer.cli.gateway import way_in
    from hyperinfer.sdk import AsyncClient

    with asyncio.Runner() as runner:
        address, key = runner.run(way_in(gateway))
        client = AsyncClient(address, api_key=key)
        runner.run(client.__aenter__())
        try:
            Chat(runner, client, model=model, system=system).run()
        finally:
            runner.run(client.__aexit__(None, None, None))


class Chat:
    """One conversation: what has been said, and with whom."""

    def __init__(self, runner: asyncio.Runner, client: "AsyncClient", *, model: str | None, system: str | None) -> None:
        self._runner = runner
        self._client = client
        self._model = model
        self._system = system
        self._said: list[Message] = []

    def run(self) -> None:
        """Talk until the input ends."""
        if sys.stdin.isatty():
            _edit_lines()
            note("/help lists the commands, Ctrl-D ends the chat.")
        while (line := _read()) is not None:
            if line.startswith("/"):
                self._obey(*line[1:].split(maxsplit=1))
            elif line:
                self._ask(line)

    def _ask(self, line: str) -> None:
        self._said.append({"role": "user", "content": line})
        answered: list[str] = []
        try:
            self._runner.run(self._answer(answered))
        except KeyboardInterrupt:
            say()
            note("(stopped)")
        except ContextExceeded:
            complain("The conversation is longer than the model's context. /new begins another.")
        except HyperinferError as error:
            say()
            complain(sentence(error))
        if answered:
            # What was said of a stopped answer was said: the model is to know it.
            self._said.append({"role": "assistant", "content": "".join(answered)})
        else:
            self._said.pop()

    async def _answer(self, answered: list[str]) -> None:
        async with self._client.stream(self._said, model=self._model, system=self._system) as stream:
            async for piece in stream:
                answered.append(piece)
                say(for_output(piece), end="")
        say()
        if stream.answer.finish_reason == "length":
            note("(The answer was cut off: the model's context is full. /new begins another conversation.)")

    def _obey(self, name: str = "", text: str = "") -> None:
        match name:
            case "model":
                self._model = text or self._model
                note(f"Model: {self._model or 'the default'}")
            case "models":
                self._list_models()
            case "system":
                self._system = text or self._system
                note(f"System: {self._system or 'nothing'}")
            case "new":
                self._said.clear()
                note("A new conversation.")
            case "help":
                note(HELP)
            case _:
                complain(f"There is no /{name}. /help lists the commands.")

    def _list_models(self) -> None:
        try:
            models = self._runner.run(self._client.models.list())
        except HyperinferError as error:
            complain(sentence(error))
        except KeyboardInterrupt:
            say()
        else:
            note("\n".join(model.id for model in models) or "No model is served now.")


def _read() -> str | None:
    """The next line, nothing where the input ends. Ctrl-C throws away what has been typed."""
    while True:
        try:
            return input(_prompt() if sys.stdin.isatty() else "").strip()
        except EOFError:
            if sys.stdin.isatty():
                say()
            return None
        except KeyboardInterrupt:
            say()
            note("(Ctrl-D ends the chat.)")


def _prompt() -> str:
    """The prompt; its colours are marked so that line editing does not count them as columns."""
    if colours() is False or not sys.stdout.isatty():
        return "> "
    return "\x01\x1b[1;36m\x02>\x01\x1b[0m\x02 "


def _edit_lines() -> None:
    """Have arrow keys and history in `input`, where this Python can."""
    try:
        import readline
    except ImportError:
        return
    readline.set_history_length(1000)
