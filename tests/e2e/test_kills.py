"""Processes killed with SIGKILL under load: nobody who is known is refused, and every request is accounted exactly once."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperinfer.testing.eventually import eventually

from .processes import CHAT, PASSWORD, Asker, Machine, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


WORDS = 60
NOTED = 20
"""Words that a stream may be ahead of its last note, by the pace of these answers and a machine that is busy."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Machine]:
    unlimited = {f"HYPERINFER_AUTH__TIERS__DEFAULT__REQUESTS_PER_{window}": "1000000" for window in ("MINUTE", "HOUR")}
    talks = {"HYPERINFER_INFERENCE__ECHO__TOKENS": str(WORDS), "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.02"}
    with machine(tmp_path, "auth", "gateway", "inference", **unlimited, **talks) as one:
        yield one


def until_accounted(one: Machine, session: str, labels: set[str], timeout_s: float = 20.0) -> Counter[str]:
    """Wait until these labels are in the ledger; gives how often each label is."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = Counter(row["request_id"] for row in one.ledger(session))
        if labels <= found.keys():
            return found
        assert time.monotonic() < deadline, f"missing: {sorted(labels - found.keys())[:10]}"
        time.sleep(0.2)


async def test_auth_killed_costs_no_request_and_all_is_accounted_once(processes: Machine) -> None:
    key, session = await asyncio.to_thread(processes.person, "ada")
    asker, by_session = Asker(processes.url, key), Asker(processes.url, session)
    labels = [f"r{number}" for number in range(64)]
    load = asyncio.create_task(asker.many(labels[:32], at_once=16))
    await asyncio.sleep(0.5)
    processes.children["auth"].kill()
    await load
    await by_session.many(labels[32:], at_once=16)
    assert asker.errors | by_session.errors == {}
    status, body, headers = await asyncio.to_thread(
        processes.call, "POST", "/api/auth/login", {"email": "ada@example.org", "password": PASSWORD}
    )
    assert status == 503, body
    assert "retry-after" in {name.lower() for name in headers}
    await asyncio.to_thread(processes.run, "auth")
    found = await asyncio.to_thread(until_accounted, processes, session, set(labels))
    assert found == Counter(labels)
    status, usage, _ = await asyncio.to_thread(processes.call, "GET", "/api/usage", key=session)
    assert status == 200, usage
    assert usage["total"]["requests"] == len(labels)
    assert usage["total"]["completion_tokens"] == WORDS * len(labels)


async def test_the_gateway_killed_accounts_what_was_answered_once_and_what_was_cut_with_what_it_used(
    processes: Machine,
) -> None:
    key, session = await asyncio.to_thread(processes.person, "ada")
    asker = Asker(processes.url, key)
    labels = [f"r{number}" for number in range(500)]
    load = asyncio.create_task(asker.many(labels, at_once=64))

    async def well_under_way() -> bool:
        return len(asker.whole) >= 150 and any(asker.words[label] > 2 * NOTED for label in asker.cut)

    await eventually(well_under_way, timeout_s=30)
    await asyncio.to_thread(processes.children["gateway"].kill)
    await load
    whole, cut = asker.whole, asker.cut
    assert 150 <= len(whole) < 500
    assert cut, "some were streaming when it was killed"
    await asyncio.to_thread(processes.run, "gateway")
    found = await asyncio.to_thread(until_accounted, processes, session, whole | cut)
    assert set(found.values()) == {1}
    rows = {row["request_id"]: row for row in await asyncio.to_thread(processes.ledger, session)}
    assert all(rows[label]["status"] == "success" and rows[label]["completion_tokens"] == WORDS for label in whole)
    # Of those that were cut a few had been settled, and only their last bytes were lost.
    lost = {label for label in cut if rows[label]["completion_tokens"] < WORDS}
    assert lost
    assert all((rows[label]["status"], rows[label]["error_code"]) == ("error", "GATEWAY_KILLED") for label in lost)
    assert all(rows[label]["estimated"] for label in lost)
    late = [
        (label, asker.words[label]) for label in cut if rows[label]["completion_tokens"] < asker.words[label] - NOTED
    ]
    assert late == [], "what was used is noted ten times a second"
    assert all(rows[label]["prompt_tokens"] > 0 for label in cut if asker.words[label] > NOTED)
    asked_again = Asker(processes.url, key)
    await asyncio.to_thread(processes.until_answers)
    await asked_again.many(["after"], at_once=1)
    assert asked_again.whole == {"after"}


async def test_a_client_that_hangs_up_pays_for_what_it_got(processes: Machine) -> None:
    import aiohttp

    key, session = await asyncio.to_thread(processes.person, "ada")
    headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "gone"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{processes.url}/v1/chat/completions", json={**CHAT, "stream": True}, headers=headers) as reply,
    ):
        for _ in range(10):
            await reply.content.readline()
    await asyncio.to_thread(until_accounted, processes, session, {"gone"})
    [row] = await asyncio.to_thread(processes.ledger, session)
    assert (row["status"], row["estimated"]) == ("cancelled", True)
    assert 0 < row["completion_tokens"] < WORDS
