"""The net port, held to the same promises whoever carries it."""

import asyncio

import pytest
from tests.integration.net.conftest import CLIENT, SERVER, STRANGER, Ends

from hyperinfer.errors import DeadlineExceeded, PeerLost, PeerUnreachable, TooLarge, UnknownMethod
from hyperinfer.facilities.net import MAX_MESSAGE_BYTES, NOBODY, Admission
from hyperinfer.testing.eventually import eventually

TOPIC = b"t" * 32


async def test_a_call_is_answered(ends: Ends) -> None:
    link = await ends.link()
    assert await link.request("echo", b'{"a": 1}', timeout_s=5) == b'{"a": 1}'
    assert link.remote_key == SERVER.public_key
    assert [one.remote_key for one in ends.inbound.links] == [CLIENT.public_key]


async def test_many_calls_at_once_each_get_their_own_answer(ends: Ends) -> None:
    link = await ends.link()
    payloads = [b"%d" % number * 100 for number in range(500)]
    assert await asyncio.gather(*(link.request("echo", one, timeout_s=10) for one in payloads)) == payloads


async def test_events_go_both_ways_in_order(ends: Ends) -> None:
    link = await ends.link()
    for number in range(100):
        link.event("note", b"%d" % number)
    assert [await ends.inbound.events.get() for _ in range(100)] == [("note", b"%d" % one) for one in range(100)]
    ends.inbound.links[0].event("anything.chunk", b"back")
    assert await ends.outbound.events.get() == ("anything.chunk", b"back")


async def test_an_unknown_method_is_said_to_be_unknown(ends: Ends) -> None:
    link = await ends.link()
    with pytest.raises(UnknownMethod):
        await link.request("nothing", b"{}", timeout_s=5)
    link.event("nothing", b"dropped")
    assert await link.request("echo", b"1", timeout_s=5) == b"1"
    assert ends.inbound.events.empty()


async def test_a_call_ends_at_its_deadline(ends: Ends) -> None:
    link = await ends.link()
    with pytest.raises(DeadlineExceeded):
        await link.request("slow", b"{}", timeout_s=0.1)
    assert await link.request("echo", b"1", timeout_s=5) == b"1"


async def test_a_message_above_the_bound_is_refused_and_one_at_it_arrives(ends: Ends) -> None:
    link = await ends.link()
    with pytest.raises(TooLarge):
        await link.request("echo", bytes(MAX_MESSAGE_BYTES + 1), timeout_s=5)
    with pytest.raises(TooLarge):
        link.event("note", bytes(MAX_MESSAGE_BYTES + 1))
    payload = bytes(MAX_MESSAGE_BYTES)
    assert await link.request("echo", payload, timeout_s=30) == payload


async def test_a_key_that_is_not_admitted_is_refused(ends: Ends) -> None:
    stranger = await ends.stranger()
    with pytest.raises(PeerUnreachable):
        await stranger.connect(SERVER.public_key, ends.outbound, timeout_s=9)
    assert not ends.inbound.links


async def test_nobody_is_admitted_where_nothing_is_said(ends: Ends) -> None:
    await ends.server.admit(NOBODY)
    with pytest.raises(PeerUnreachable):
        await ends.link()


async def test_everybody_is_admitted_only_where_it_is_said(ends: Ends) -> None:
    await ends.server.admit(Admission(everyone=True))
    stranger = await ends.stranger()
    link = await stranger.connect(SERVER.public_key, ends.outbound, timeout_s=5)
    assert await link.request("echo", b"1", timeout_s=5) == b"1"


async def test_who_is_admitted_no_more_is_cut_off(ends: Ends) -> None:
    link = await ends.link()
    call = asyncio.create_task(link.request("slow", b"{}", timeout_s=10))
    await ends.inbound.started.wait()
    await ends.server.admit(Admission(keys=frozenset([STRANGER.public_key])))
    async with asyncio.timeout(3):
        await link.wait_closed()
        await ends.inbound.cancelled.wait()
    with pytest.raises(PeerLost):
        await call
    assert link.closed
    assert len(ends.inbound.closed) == len(ends.outbound.closed) == 1


async def test_an_unknown_key_is_unreachable_at_once(ends: Ends) -> None:
    with pytest.raises(PeerUnreachable):
        await ends.client.connect(b"u" * 32, ends.outbound, timeout_s=5)


@pytest.mark.parametrize("side", ["client", "server"])
async def test_either_side_may_end_a_link(ends: Ends, side: str) -> None:
    link = await ends.link()
    await link.request("echo", b"1", timeout_s=5)
    (link if side == "client" else ends.inbound.links[0]).close()
    async with asyncio.timeout(3):
        await asyncio.gather(link.wait_closed(), ends.inbound.links[0].wait_closed())
    with pytest.raises(PeerLost):
        await link.request("echo", b"1", timeout_s=5)
    link.event("note", b"dropped in silence")
    await link.writable()
    assert await (await ends.link()).request("echo", b"again", timeout_s=5) == b"again"


async def test_an_endpoint_that_closes_takes_its_links_and_topics_along(ends: Ends) -> None:
    link = await ends.link()
    await ends.server.announce(TOPIC)
    await ends.server.close()
    async with asyncio.timeout(3):
        await link.wait_closed()
    with pytest.raises(PeerUnreachable):
        await ends.link()


async def test_who_announces_is_found_until_withdrawn(ends: Ends) -> None:
    assert await ends.client.lookup(TOPIC) == []
    await ends.server.announce(TOPIC)

    async def found() -> bool:
        return await ends.client.lookup(TOPIC) == [SERVER.public_key]

    await eventually(found)
    await ends.server.withdraw(TOPIC)
    assert await ends.client.lookup(TOPIC) == []
