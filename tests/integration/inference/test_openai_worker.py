"""The whole worker with two servers of OpenAI's kind, as it is configured: each counts by itself, and one may be away."""

import asyncio
from pathlib import Path

import msgspec

from hyperinfer.contracts.inference import LIST_MODELS, PROCESS_REQUEST, ProcessRequest, WorkerStatus
from hyperinfer.contracts.method import Nothing
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer
from hyperinfer.testing.swarm import part
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings
from hyperinfer.workers.inference.worker import WORKER


async def test_two_servers_serve_their_models_and_the_first_one_those_that_both_have(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(40),
        OpenAIServer.running(OpenAIModel("both"), OpenAIModel("a")) as first,
        OpenAIServer.running(OpenAIModel("both"), OpenAIModel("b")) as second,
    ):
        servers = tuple(
            ServerSettings(name=name, url=server.url, look_every_s=0.5)
            for name, server in (("first", first), ("second", second))
        )
        gateway = AskingGateway()
        inference = part(WORKER, home=tmp_path, llamacpp__enabled=False, openai__servers=servers)
        parts = [part(gateway.worker(), home=tmp_path), inference]
        prepare(parts, home=tmp_path, now=SystemClock().now())
        async with running(parts, home=tmp_path, net=MemoryNet()):
            caller = gateway.service("inference")

            async def status() -> WorkerStatus:
                return await caller.call(LIST_MODELS, Nothing())

            async def all_there() -> bool:
                return {model.name for model in (await status()).models if model.state == "ready"} == {"both", "a", "b"}

            await eventually(all_there)
            backends = {model.name: model.backend for model in (await status()).models}
            assert backends == {"both": "openai:first", "a": "openai:first", "b": "openai:second"}
            for name in backends:
                body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"model":"public"}')
                answered = await caller.call(PROCESS_REQUEST, ProcessRequest(model=name, body=body))
                assert msgspec.json.decode(answered.completion)["choices"][0]["message"]["content"] == first.will.text
            asked = [[body["model"] for body in one.record.bodies("/chat/completions")] for one in (first, second)]
            assert sorted(asked[0]) == ["a", "both"]
            assert asked[1] == ["b"]
            await first.stop()

            async def first_is_away() -> bool:
                available = {one.name: one.available for one in (await status()).backends}
                return available == {"openai:first": False, "openai:second": True}

            await eventually(first_is_away)
            assert (await caller.call(PROCESS_REQUEST, ProcessRequest(model="b", prompt="Hi."))).response
