"""How long a client lives, and where: opened by itself, closed twice, in threads, other loops, copies and forks."""

import asyncio
import copy
import gc
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hyperinfer import AsyncClient, Client
from hyperinfer.contracts import gateway as contract
from hyperinfer.errors import BY_CODE, HyperinferError
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.answers import saying
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.testing.reach import Reach

NAME = "hyperinfer client"


def fake() -> FakeGateway:
    return FakeGateway(listModels=always(contract.PublicModels()), processInferenceRequest=saying(["four."]))


def threads() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


async def test_it_opens_by_itself_and_is_closed_once(reach: Reach) -> None:
    with reach(fake()) as way:
        client = way.client()
        assert await client.models.list() == ()
        await client.close()
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.models.list()
        with pytest.raises(RuntimeError, match="closed"):
            await client.__aenter__()


def test_without_asyncio_too(reach: Reach) -> None:
    with reach(fake()) as way:
        before = threads()
        client = way.blocking()
        assert threads() == before
        assert client.models.list() == ()
        assert threads() == before + 1
        client.close()
        client.close()
        assert threads() == before
        with pytest.raises(RuntimeError, match="closed"):
            client.models.list()
        with pytest.raises(RuntimeError, match="closed"), client.stream("hi"):
            pass


async def test_one_that_was_never_opened_can_be_closed(reach: Reach) -> None:
    with reach(fake()) as way:
        await way.client().close()
        way.blocking().close()


def test_one_that_was_forgotten_ends_by_itself(reach: Reach) -> None:
    with reach(fake()) as way:
        before = threads()
        client = way.blocking()
        client.models.list()
        del client
        gc.collect()
        assert threads() == before


def test_one_serves_many_threads(reach: Reach) -> None:
    with reach(fake()) as way, way.blocking() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.chat("hi").text, range(32)))
    assert answers == ["four."] * 32


def test_another_event_loop_is_told_to_make_its_own(reach: Reach) -> None:
    with reach(fake()) as way:
        thread, client = LoopThread(), way.client()
        thread.run(client.models.list())

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await client.models.list()

        asyncio.run(elsewhere())
        thread.run(client.close())
        thread.close()


async def test_many_first_requests_open_it_once(reach: Reach) -> None:
    with reach(fake()) as way:
        client = way.client()
        found = await asyncio.gather(*(client.models.list() for _ in range(10)))
        await client.close()
    assert found == [()] * 10


@pytest.mark.parametrize("kind", [AsyncClient, Client])
def test_a_client_cannot_be_copied_and_says_so(kind: type[AsyncClient | Client]) -> None:
    client = kind("http://127.0.0.1:1", api_key="k")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="each process"):
            attempt(client)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_is_told_to_make_its_own() -> None:
    thread = LoopThread()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = b"nothing"
        try:
            thread.run(asyncio.sleep(0))
        except RuntimeError as error:
            said = str(error).encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.waitpid(child, 0)
    assert b"forked" in os.read(reading, 200)
    os.close(reading)
    os.close(writing)
    thread.close()


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_an_error_crosses_processes_whole(kind: type[HyperinferError]) -> None:
    error = pickle.loads(pickle.dumps(kind("No.", param="x", retry_after_s=1.5)))
    assert type(error) is kind
    assert (error.message, error.details) == ("No.", {"param": "x", "retry_after_s": 1.5})
