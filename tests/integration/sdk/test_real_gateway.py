"""The client library against the real platform: by HTTP, by the gateway's link, and by the swarm's, across two drivers."""

import asyncio

import pytest

from hyperinfer import AsyncClient, Client
from hyperinfer.errors import Forbidden, ModelNotFound, Unauthenticated, Unavailable
from hyperinfer.testing.eventually import eventually

from .conftest import PASSWORD, Platform

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", ["http", "gateway", "swarm"])
async def test_from_an_invitation_to_the_last_request_that_was_counted(platform: Platform, way: str) -> None:
    async with platform.client(way) as admin, platform.client(way, "") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.chat("hi")
        invite = await admin.admin.invites.create(email=f"{way}@example.com")
        made = await stranger.account.register(email=f"{way}@example.com", password=PASSWORD, code=invite.code)
        session = await stranger.sessions.login(f"{way}@example.com", PASSWORD)

    async with platform.client(way, made.api_key.key) as ada, platform.client(way, session.access_token) as in_session:
        assert [model.id for model in await ada.models.list()] == ["echo"]
        answer = await ada.chat("one two three", model="echo")
        assert (answer.text, answer.usage.total_tokens) == ("one two three", 6)
        [worker] = await ada.models.workers()
        assert worker.key.startswith(answer.worker)
        async with ada.stream("one two three four") as stream:
            pieces = [piece async for piece in stream]
        assert ("".join(pieces), stream.answer.finish_reason) == ("one two three four", "stop")
        assert len(pieces) > 1
        assert (await ada.inference("hello there")).response == "hello there"
        assert len((await ada.embed(["a", "b"], model="echo")).vectors) == 2
        with pytest.raises(ModelNotFound):
            await ada.chat("hi", model="none")
        with pytest.raises(Forbidden):
            await ada.admin.tiers()
        assert (await in_session.account.get()).email == f"{way}@example.com"
        key = await in_session.keys.create("ci")
        assert {one.name for one in await in_session.keys.list()} == {"ci", "default"}
        await in_session.keys.revoke(key.id)

        async def counted() -> bool:
            return (await ada.usage.report()).total.requests >= 4

        await eventually(counted)
        assert [row async for row in ada.usage.each_request()]
        assert "".join([piece async for piece in ada.usage.requests_csv()]).startswith("id,")


@pytest.mark.parametrize("way", ["http", "gateway", "swarm"])
async def test_leaving_a_stream_frees_its_slot(platform: Platform, way: str) -> None:
    async with platform.client(way) as client:
        async with client.stream(" ".join(["word"] * 2000)) as stream:
            await anext(stream)
            assert await busy(client) == 1

        async def free() -> bool:
            return not await busy(client)

        await eventually(free, timeout_s=3)


async def busy(client: AsyncClient) -> int:
    return sum(model.in_flight for model in await client.models.workers())


@pytest.mark.parametrize("way", ["gateway", "swarm"])
async def test_many_streams_on_one_connection(platform: Platform, way: str) -> None:
    async with platform.client(way) as client:

        async def ask(number: int) -> str:
            async with client.stream(f"this is number {number}") as stream:
                return "".join([piece async for piece in stream])

        answers = await asyncio.gather(*(ask(number) for number in range(24)))
    assert answers == [f"this is number {number}" for number in range(24)]


def test_without_asyncio(platform: Platform) -> None:
    said: list[str] = []
    client = Client(platform.addresses["swarm"], api_key=platform.admin, net=platform.net, say=said.append)
    with client, client.stream("one two three") as stream:
        assert "".join(stream) == "one two three"
    assert said == []  # the driver is there already


async def test_nobody_registers_over_the_swarm_uninvited(platform: Platform) -> None:
    async with platform.client("gateway", "") as stranger:
        with pytest.raises(Forbidden):
            await stranger.account.register(email="eve@example.com", password=PASSWORD)


async def test_another_swarm_is_not_believed(platform: Platform) -> None:
    link = platform.addresses["swarm"]
    other = AsyncClient(f"{link[:-64]}{'00' * 32}", api_key=platform.admin, net=platform.net, connect_timeout_s=2.0)
    async with other:
        with pytest.raises(Unavailable):
            await other.models.list()
