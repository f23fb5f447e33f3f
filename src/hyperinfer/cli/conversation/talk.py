"""A chat: prompts go to a model, orders are obeyed here."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperinfer.cli.conversation import saved, words
from hyperinfer.cli.conversation.connection import Connection
from hyperinfer.cli.conversation.entry import Entry
from hyperinfer.cli.conversation.identity import IDENTITY, Identity
from hyperinfer.cli.conversation.showing import Shows
from hyperinfer.cli.manner import complain, note, sentence
from hyperinfer.errors import BadRequest, ContextExceeded, HyperinferError

if TYPE_CHECKING:
    from hyperinfer.sdk import Answer, Message

CUT = "(The answer was cut off: the model's context is full. /new begins another conversation.)"
NOTHING = "-"


class Chat:
    """One conversation: what has been said, and with whom."""

    def __init__(
        self,
        runner: asyncio.Runner,
        connection: Connection,
        entry: Entry,
        shows: Shows,
        *,
        model: str | None,
        system: str | None,
    ) -> None:
        self._runner = runner
        self._connection = connection
        self._identity = Identity(connection)
        self._entry = entry
        self._shows = shows
        self._model = model
        self._system = system
        self._said: list[Message] = []
        self._last = ""
        self._answers: list[Answer] = []

    def run(self) -> None:
        """Talk until the input ends."""
        while (line := self._entry.read()) is not None:
            order = words.parse(line)
            if order is None:
                self._ask(line)
            elif order.name == "exit":
                return
            else:
                self._obey(order)

    # --- prompts ------------------------------------------------------------------------------------------

    def _ask(self, line: str) -> None:
        self._last = line
        self._said.append({"role": "user", "content": line})
        begun = len(self._answers)
        try:
            self._runner.run(self._answer())
        except KeyboardInterrupt:
            note("(stopped)")
        except ContextExceeded:
            complain("The conversation is longer than the model's context. /new begins another.")
        except HyperinferError as error:
            complain(sentence(error))
        if len(self._answers) > begun and self._answers[-1].text:
            # What was said of a stopped answer was said: the model is to know it.
            self._said.append({"role": "assistant", "content": self._answers[-1].text})
        else:
            self._said.pop()

    async def _answer(self) -> None:
        began = time.monotonic()
        asked = self._connection.asking.stream(self._said, model=self._model, system=self._system)
        async with asked as stream:
            try:
                first_at = await self._shows(stream)
            finally:
                self._answers.append(stream.answer)
        if stream.answer.finish_reason == "length":
            note(CUT)
        self._shows.footer(stream.answer, began=began, first_at=first_at, ended=time.monotonic())

    # --- orders -------------------------------------------------------------------------------------------

    def _obey(self, order: words.Order) -> None:
        try:
            if order.name in IDENTITY:
                self._identity.obey(order, self._run)
            elif (obeys := getattr(self, f"_obey_{order.name}", None)) is not None:
                obeys(order.text)
            else:
                complain(f"There is no /{order.name}. /help lists the orders.")
        except HyperinferError as error:
            complain(sentence(error))
        except KeyboardInterrupt:
            note("(stopped)")

    def _obey_help(self, _: str) -> None:
        note(words.HELP)

    def _obey_model(self, name: str) -> None:
        self._model = name or self._model
        note(f"Model: {self._model or 'the default'}")

    def _obey_models(self, _: str) -> None:
        models = self._run(self._connection.asking.models.list())
        note("\n".join(model.id for model in models) or "No model is served now.")

    def _obey_system(self, text: str) -> None:
        self._system = None if text == NOTHING else text or self._system
        note(f"System: {self._system or 'nothing'}")

    def _obey_new(self, _: str) -> None:
        self._said.clear()
        note("A new conversation.")

    def _obey_retry(self, _: str) -> None:
        if not self._last:
            raise BadRequest("There is nothing to ask again yet.")
        if self._said and self._said[-1]["role"] == "assistant":
            del self._said[-2:]
        self._ask(self._last)

    def _obey_save(self, name: str) -> None:
        if not self._said:
            raise BadRequest("Nothing has been said yet.")
        file = _file(name, "/save FILE")
        saved.save(file, saved.conversation(self._model, self._system, self._said))
        note(f"Saved in {file}.")

    def _obey_load(self, name: str) -> None:
        held = saved.load(_file(name, "/load FILE.json"))
        self._said = saved.messages(held)
        self._model, self._system = held.model or self._model, held.system
        self._last = next((one.content for one in reversed(held.messages) if one.role == "user"), "")
        note(f"{len(self._said)} messages are here again.")

    def _obey_usage(self, _: str) -> None:
        read = sum(answer.usage.prompt_tokens for answer in self._answers)
        written = sum(answer.usage.completion_tokens for answer in self._answers)
        note(f"This chat: {len(self._answers)} answers, {read:,} tokens read and {written:,} written.")
        quota = self._run(self._connection.asking.usage.quota())
        for row in quota.limits:
            note(f"{row.of} {row.name.replace('_', '-')}: {row.used:,} of {row.limit:,}")

    def _obey_status(self, _: str) -> None:
        for name, value in self._run(self._identity.facts()):
            note(f"{name:<8} {value}")
        note(f"{'model':<8} {self._model or 'the default'}")

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)


def _file(name: str, usage: str) -> Path:
    if not name:
        raise BadRequest(f"Say which file: {usage}.")
    return Path(name).expanduser()
