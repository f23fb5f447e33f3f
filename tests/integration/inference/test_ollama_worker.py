"""The whole worker in front of an Ollama: settings, catalogue and an answer, as a gateway gets them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hyperinfer.contracts.inference import LIST_MODELS, PROCESS_REQUEST, ProcessRequest
from hyperinfer.contracts.method import Nothing
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import running
from hyperinfer.kernel.config import load
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.ollama import OllamaModel, OllamaServer
from hyperinfer.testing.swarm import part
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.worker import WORKER

MODEL = OllamaModel("smollm2:135m")


async def test_a_worker_offers_what_ollama_has(tmp_path: Path) -> None:
    gateway = AskingGateway()
    chunks: list[bytes] = []

    async def take(some: Sequence[bytes]) -> None:
        chunks.extend(some)

    async with OllamaServer.running(MODEL) as server:
        settings: dict[str, Any] = {"llamacpp__enabled": False, "ollama__enabled": "auto", "ollama__url": server.url}
        parts = [part(gateway.worker(), home=tmp_path), part(WORKER, home=tmp_path, **settings)]
        prepare(parts, home=tmp_path, now=SystemClock().now())
        async with asyncio.timeout(30), running(parts, home=tmp_path, net=MemoryNet()):
            caller = gateway.service("inference")

            async def is_offered() -> bool:
                return bool((await caller.call(LIST_MODELS, Nothing())).models)

            await eventually(is_offered)
            status = await caller.call(LIST_MODELS, Nothing())
            assert [(model.name, model.backend, model.state) for model in status.models] == [
                (MODEL.name, "ollama", "idle")
            ]
            assert [backend.name for backend in status.backends if backend.available] == ["ollama"]
            reply = await caller.call(PROCESS_REQUEST, ProcessRequest(prompt="What is 2 + 2?"))
            assert reply.response == "The answer is: 4"
            body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi"}],"stream":true}')
            await caller.call(PROCESS_REQUEST, ProcessRequest(body=body, public_model="mine"), sink=take)
    assert msgspec.json.decode(chunks[-1])["model"] == "mine"


def test_ollama_is_named_by_its_own_variable() -> None:
    environ = {"OLLAMA_URL": "http://gpu.lan:11434", "HYPERINFER_INFERENCE__OLLAMA__MODELS": "qwen*, llama3:8b"}
    settings = load("inference", InferenceSettings, environ=environ, folder=Path("nowhere")).settings
    assert (settings.ollama.url, settings.ollama.models) == ("http://gpu.lan:11434", ("qwen*", "llama3:8b"))
