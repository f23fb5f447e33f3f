"""What happens when callers leave and engines die: slots come back, engines come back, nobody is left behind."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import structlog
from tests.integration.inference.conftest import Asking, House, house

from hyperinfer.errors import BackendFailed, BadRequest, StartError, StreamStalled, Unavailable
from hyperinfer.testing.gguf import write
from hyperinfer.workers.inference.backends.llamacpp import engine as engines

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

ENDLESS = {"logit_bias": {"2": -100}}
"""Without its end mark the model talks on until the context is full."""


async def busy_slots(running: House) -> int:
    """Slots that the engine itself is working in."""
    client = await running.backend.hosted().client()
    async with client._session.get("http://engine/slots", timeout=aiohttp.ClientTimeout(total=5)) as reply:
        return sum(slot["is_processing"] for slot in await reply.json())


async def until_working(running: House, *, in_slots: int, timeout_s: float) -> None:
    """The engine says nothing by itself, so it is asked again and again."""
    async with asyncio.timeout(timeout_s):
        while True:
            if await busy_slots(running) == in_slots:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_who_leaves_stops_the_generation_within_a_second(tmp_path: Path, streamed: bool) -> None:
    async with house(tmp_path, context_tokens=2048) as running:
        await running.ready()
        asking = Asking()
        body = {"messages": [{"role": "user", "content": "Count."}], **ENDLESS}
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.ask(body, asking.send if streamed else None))
            if streamed:
                await asking.began.wait()
            await until_working(running, in_slots=1, timeout_s=10)
            task.cancel()
        assert task.cancelled()
        await until_working(running, in_slots=0, timeout_s=1.0)
        await running.until(lambda model: model.busy == 0)


async def test_a_caller_who_leaves_while_a_long_prompt_is_read_stops_that_too(tmp_path: Path) -> None:
    async with house(tmp_path, context_tokens=4096, slots=1) as running:
        await running.ready()
        body = {"messages": [{"role": "user", "content": "word " * 3500}]}
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.ask(body))
            await until_working(running, in_slots=1, timeout_s=10)
            task.cancel()
        # The whole prompt would take more than ten seconds.
        await until_working(running, in_slots=0, timeout_s=5)


async def test_a_reader_who_takes_nothing_loses_its_slot(tmp_path: Path) -> None:
    async def stall(_: Sequence[bytes]) -> None:
        raise StreamStalled("The reader took nothing.")

    async with house(tmp_path, context_tokens=2048) as running:
        await running.ready()
        with pytest.raises(StreamStalled):
            await running.ask({"messages": [{"role": "user", "content": "Count."}], **ENDLESS}, stall)
        await until_working(running, in_slots=0, timeout_s=1.0)


async def test_no_prompt_is_logged_even_when_the_engine_complains(tmp_path: Path) -> None:
    secret = "xyzzy"
    with structlog.testing.capture_logs() as logged:
        async with house(tmp_path, context_tokens=256) as running:
            await running.ready()
            await running.say(f"{secret}.", max_tokens=4)
            await running.say(f"{secret}.", max_tokens=4)  # of which it says that it has read it before
            for bad in (
                {"text": f"{secret} " * 500},
                {
                    "text": secret,
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "x", "schema": {"type": secret}},
                    },
                },
            ):
                with pytest.raises(BadRequest):
                    await running.say(**bad)
    assert logged
    assert secret not in str(logged)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
async def test_an_engine_that_dies_is_back_within_three_seconds(tmp_path: Path, how: signal.Signals) -> None:
    began = time.monotonic()
    async with house(tmp_path, context_tokens=2048) as running:
        await running.ready()
        # Where all else is busy too, starting takes longer; then so may starting again, and no more than that.
        allowed_s = max(3.0, 3 * (time.monotonic() - began))
        asking, pid = Asking(), running.pid()
        body = {"messages": [{"role": "user", "content": "Count."}], **ENDLESS}
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_failure(running, body, asking))
            await asking.began.wait()
            os.kill(pid, how)
            died = time.monotonic()
            failure = await task
            assert isinstance(failure, BackendFailed)
            assert failure.retryable
            assert await running.say("Say hello.", max_tokens=4), "a request that comes meanwhile waits"
        assert time.monotonic() - died < allowed_s
        assert running.pid() != pid
        restarts = running.registry.get_sample_value(
            "ai_platform_inference_backend_restarts_total", {"backend": "llamacpp"}
        )
        assert restarts == 1
        await running.until(lambda model: (model.errors, model.busy) == (1, 0))


async def _failure(running: House, body: Any, asking: Asking) -> Exception | None:
    try:
        await running.ask(body, asking.send)
    except BackendFailed as error:
        return error
    return None


async def test_an_engine_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    async with house(tmp_path, stall_timeout_s=1.0) as running:
        await running.ready()
        pid = running.pid()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(BackendFailed, match="said nothing for 1 s"):
            await running.say("Say hello.")
        assert await running.say("Say hello.", max_tokens=4)
        assert running.pid() != pid


async def test_an_engine_that_cannot_load_its_model_says_why_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PAUSES_S", (0.0, 0.0, 0.2))
    broken = tmp_path / "Broken Model.gguf"
    write(broken, {"general.architecture": "none-that-there-is", "tokenizer.chat_template": "{{ messages }}"})
    async with house(tmp_path, model_path=str(broken)) as running:
        await running.until(lambda model: model.state == "away")
        assert running.service.not_ready()
        assert "failed to load model" in running.service.not_ready()[0]
        with pytest.raises(Unavailable):
            await running.say("Hello.")
        assert running.service.status().models[0].name == "broken-model"
        before = restarts(running)
        await running.until(lambda _: restarts(running) > before)


async def test_a_file_that_is_not_complete_is_no_reason_to_start_an_engine(tmp_path: Path) -> None:
    broken = tmp_path / "half.gguf"
    broken.write_bytes(b"GGUF" + b"\x03\0\0\0" + b"\x05" + b"\0" * 15)
    async with house(tmp_path, model_path=str(broken)) as running:
        assert running.service.not_ready() == ["The file is not complete."]
        with pytest.raises(Unavailable):
            await running.say("Hello.")


def restarts(running: House) -> float:
    name = "ai_platform_inference_backend_restarts_total"
    return running.registry.get_sample_value(name, {"backend": "llamacpp"}) or 0.0


@pytest.mark.parametrize("content", [None, b"not a model"])
async def test_a_model_path_that_is_no_model_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match=r"llamacpp\.model_path"):
        async with house(tmp_path, model_path=str(path)):
            pass


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.integration.inference.conftest import house

async def main():
    async with house(Path(sys.argv[1])) as running:
        await running.ready()
        print(running.pid(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_an_engine_ends_with_its_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert parent.stdout is not None
        async with asyncio.timeout(30):
            said = await parent.stdout.readline()
            while not said.strip().isdigit():
                said = await parent.stdout.readline()
        child = psutil.Process(int(said))
        parent.kill()
        await asyncio.to_thread(psutil.wait_procs, [child], 5)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()


@pytest.mark.parametrize("depth", [0, 90])
async def test_stopping_ends_the_engine_and_removes_its_folder(tmp_path: Path, depth: int) -> None:
    data = tmp_path / ("d" * depth)  # deep enough, and a socket in it would have too long a path
    data.mkdir(exist_ok=True)
    (data / "engine").mkdir()
    (data / "engine" / "left by one who was killed").touch()
    async with house(data) as running:
        await running.ready()
        pid = running.pid()
        process = running.backend.hosted().engine._process  # type: ignore[union-attr]  # it has just had a pid
        assert process is not None
        folder = process.socket.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in folder.iterdir()} == {"llama.sock"}
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
