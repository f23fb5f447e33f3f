"""Many models in one worker: they come and go as their files do, are loaded on demand, and leave when nobody needs them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.integration.inference.conftest import MODEL, Asking, house, shelve

from hyperinfer.errors import BackendFailed, ModelNotFound, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gguf import write
from hyperinfer.workers.inference.backends import BackendModel
from hyperinfer.workers.inference.backends.llamacpp.backend import LlamaCpp, open_llamacpp
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

COUNT = {"messages": [{"role": "user", "content": "Count."}], "logit_bias": {"2": -100}}
SHORT = {"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 2}


class Hosting:
    """The backend alone, with hands of the clock that the test turns."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.changed = asyncio.Event()
        self.backend: LlamaCpp

    def states(self) -> dict[str, str]:
        return {model.name: model.state for model in self.backend.models()}

    def model(self, name: str) -> BackendModel:
        return {model.name: model for model in self.backend.models()}[name]

    async def until(self, condition: Callable[[], bool], *, turning_s: float = 0.0) -> None:
        """Wait for what the backend says of its models; the clock goes on meanwhile."""
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                self.clock.advance(turning_s)
                await asyncio.sleep(0)
                if not condition():
                    try:
                        async with asyncio.timeout(0.1):
                            await self.changed.wait()
                    except TimeoutError:
                        continue


@asynccontextmanager
async def hosting(tmp_path: Path, *, default: str = "", **settings: Any) -> AsyncIterator[Hosting]:
    given = LlamaCppSettings(**{"threads": 1, "slots": 1, "context_tokens": 256, **settings})
    running = Hosting(ManualClock())
    async with open_llamacpp(
        given,
        data=tmp_path,
        models=tmp_path / "models",
        default=default,
        clock=running.clock,
        changed=running.changed.set,
        restarted=lambda: None,
    ) as running.backend:
        yield running


async def test_a_folder_s_models_are_there_and_none_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "One", "two", "mmproj-other", "big-00002-of-00003")
    (folder / "three.gguf.part").touch()
    (folder / ".hidden.gguf").touch()
    write(folder / "adapter.gguf", {"general.architecture": "llama", "general.type": "adapter"})
    async with house(tmp_path, model_path=str(folder)) as running:
        states = {model.name: model.state for model in running.service.status().models}
        assert states == {"one": "idle", "two": "idle"}
        assert not running.service.not_ready()
        processed = await running.ask(SHORT, model="two")
        assert processed.model == "two"
        models = {model.name: model for model in running.service.status().models}
        assert (models["two"].state, models["one"].state) == ("ready", "idle")
        await running.until_models(lambda now: now["two"].memory_bytes > 100_000_000)
        assert models["one"].memory_bytes == 0


async def test_pulled_models_are_beside_the_packaged_one_which_is_loaded_first(tmp_path: Path) -> None:
    shelve(tmp_path / "models", "pulled")
    async with house(tmp_path) as running:
        assert [model.name for model in running.service.status().models] == [MODEL, "pulled"]
        await running.ready()
        assert (await running.ask(SHORT)).model == MODEL
    async with house(tmp_path, default="pulled") as running:
        await running.until_models(lambda now: [model.state for model in now.values()] == ["ready", "idle"])
        assert (await running.ask(SHORT)).model == "pulled"


async def test_models_come_and_go_with_their_files(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one")
    async with house(tmp_path, model_path=str(folder), look_every_s=0.1) as running:
        await running.ask(SHORT, model="one")
        pid = running.pid("one")
        asking = Asking()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.ask(COUNT | {"max_tokens": 60}, asking.send, model="one"))
            await asking.began.wait()
            (folder / "one.gguf").unlink()
            shelve(folder, "two")
            await running.until_models(lambda now: now.keys() == {"two"})
            with pytest.raises(ModelNotFound):
                await running.ask(SHORT, model="one")
        assert task.result().usage.completion_tokens == 60, "what is under way is finished"
        assert (await running.ask(SHORT, model="two")).model == "two"
        await asyncio.to_thread(psutil.wait_procs, [psutil.Process(pid)] if psutil.pid_exists(pid) else [], 5)
        assert not psutil.pid_exists(pid)


async def test_a_file_that_has_become_another_is_loaded_anew(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one")
    async with hosting(tmp_path, model_path=str(folder), look_every_s=1.0) as running:
        await running.backend.load("one")
        engine, before = running.backend.hosted().engine, running.model("one").revision
        (folder / "one.gguf").unlink()
        write(folder / "one.gguf", {"general.architecture": "llama", "general.name": "another"})
        await running.until(lambda: running.states() == {"one": "idle"}, turning_s=1.0)
        assert running.model("one").revision != before
        assert running.backend.hosted().engine is not engine


async def test_a_model_leaves_so_long_after_the_end_of_its_last_request(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one")
    async with hosting(tmp_path, model_path=str(folder), keep_alive_s=300.0) as running:
        await running.backend.load("one")
        pid = running.backend.hosted().engine.pid  # type: ignore[union-attr]  # it has just been loaded
        async with running.backend._loader.used("one"):
            running.clock.advance(1000)
            await asyncio.sleep(0)
            assert running.states() == {"one": "ready"}, "it is in use"
        for _ in range(298):
            running.clock.advance(1)
            await asyncio.sleep(0)
        assert running.states() == {"one": "ready"}
        await running.until(lambda: running.states() == {"one": "idle"}, turning_s=1.0)
        assert running.clock.monotonic() < 1310
        assert pid is not None
        await asyncio.to_thread(psutil.wait_procs, [psutil.Process(pid)] if psutil.pid_exists(pid) else [], 5)
        await running.backend.load("one")
        assert running.states() == {"one": "ready"}


async def test_a_model_makes_room_for_another_but_not_while_it_is_used(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one", "two")
    async with hosting(tmp_path, model_path=str(folder), max_loaded=1) as running:
        await running.backend.load("one")
        async with running.backend._loader.used("one"):
            with pytest.raises(Unavailable) as refused:
                await running.backend.load("two")
            assert refused.value.details["retry_after_s"] > 0
        await running.backend.load("two")
        assert running.states() == {"one": "idle", "two": "ready"}


async def test_an_order_to_unload_waits_for_what_is_under_way(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        pid = running.pid()
        asking = Asking()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.ask(COUNT | {"max_tokens": 40}, asking.send))
            await asking.began.wait()
            leaving = group.create_task(running.service.unload(MODEL))
            await running.until(lambda model: model.state == "away")
            with pytest.raises(Unavailable):
                await running.ask(SHORT)
        assert task.result().usage.completion_tokens == 40
        assert leaving.result().state == "idle"
        assert not psutil.pid_exists(pid)
        assert (await running.service.load(MODEL)).state == "ready"
        assert running.pid() != pid


async def test_one_request_that_leaves_does_not_undo_the_load_that_others_wait_for(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one")
    async with house(tmp_path, model_path=str(folder)) as running, asyncio.TaskGroup() as group:
        tasks = [group.create_task(running.ask(SHORT, model="one")) for _ in range(2)]
        await running.until(lambda model: model.state == "loading")
        tasks[0].cancel()
        assert (await tasks[1]).model == "one"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
async def test_the_end_of_one_model_s_engine_is_nothing_to_another_s(tmp_path: Path, how: signal.Signals) -> None:
    folder = shelve(tmp_path / "given", "one", "two")
    async with house(tmp_path, model_path=str(folder), context_tokens=2048) as running:
        await running.service.load("one")
        await running.service.load("two")
        asked = {name: Asking() for name in ("one", "two")}
        other = running.pid("two")

        async def ask(name: str) -> BaseException | None:
            try:
                await running.ask(COUNT | {"max_tokens": 150}, asked[name].send, model=name)
            except BackendFailed as error:
                return error
            return None

        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(ask(name)) for name in asked}
            for asking in asked.values():
                await asking.began.wait()
            os.kill(running.pid("one"), how)
        assert isinstance(tasks["one"].result(), BackendFailed)
        assert tasks["two"].result() is None
        assert asked["two"].chunks[-1]["choices"][0]["finish_reason"] == "length"
        assert running.pid("two") == other
        assert (await running.ask(SHORT, model="one")).model == "one"


async def test_a_model_that_cannot_be_loaded_is_away_with_the_reason_and_tried_again_later(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "good")
    write(folder / "odd.gguf", {"general.architecture": "none-that-there-is", "tokenizer.chat_template": "{{ tools }}"})
    (folder / "half.gguf").write_bytes(b"GGUF\3\0\0\0" + b"\5" + b"\0" * 15)
    async with hosting(tmp_path, model_path=str(folder)) as running:
        assert running.states() == {"good": "idle", "half": "away", "odd": "idle"}
        assert running.model("half").reason == "The file is not complete."
        with pytest.raises(BackendFailed) as failed:
            await running.backend.load("odd")
        assert "odd.gguf" not in failed.value.message, "why is for the operator"
        assert running.states()["odd"] == "away"
        assert "failed to load model" in running.model("odd").reason
        await running.until(lambda: running.states()["odd"] == "idle", turning_s=10.0)
        await running.backend.load("good")


async def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one", "two")
    async with hosting(tmp_path, model_path=str(folder)) as running:
        await running.backend.load("one")
        running.backend._loader._memory = lambda: 1_000_000
        async with running.backend._loader.used("one"):
            with pytest.raises(Unavailable):
                await running.backend.load("two")
        assert running.states() == {"one": "ready", "two": "idle"}


async def test_the_house_is_left_without_a_trace_while_a_model_is_being_loaded(tmp_path: Path) -> None:
    folder = shelve(tmp_path / "given", "one")
    before = {child.pid for child in psutil.Process().children()}

    async def leave_early() -> None:
        async with house(tmp_path, model_path=str(folder)) as running, asyncio.TaskGroup() as group:
            group.create_task(running.ask(SHORT, model="one"))
            await running.until(lambda model: model.state == "loading")
            raise RuntimeError

    with pytest.raises(ExceptionGroup) as ended:
        await leave_early()
    assert ended.group_contains(RuntimeError)
    assert {child.pid for child in psutil.Process().children()} <= before
    assert not (tmp_path / "engine").exists()
