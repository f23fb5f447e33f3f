"""How records reach auth: each once, in bounded batches, whatever auth does."""

import asyncio

import pytest

from hyperinfer.contracts.usage import MAX_BATCH, UsageRecord
from hyperinfer.errors import BadRequest, HyperinferError, PeerUnreachable, Unavailable

from .conftest import Desk, begin


async def test_batches_are_bounded_and_follow_each_other_at_once(desk: Desk) -> None:
    async with desk.opened() as journal:
        for _ in range(2 * MAX_BATCH + 10):
            begin(journal).settle("success")
        await desk.turn(0.01, lambda: not journal.waiting)
        assert desk.auth.batches == [MAX_BATCH, MAX_BATCH, 10]


@pytest.mark.parametrize("error", [PeerUnreachable("Away."), Unavailable("Down.")])
async def test_while_auth_is_away_records_wait_and_it_is_asked_less_and_less(
    desk: Desk, error: HyperinferError
) -> None:
    desk.auth.error = error
    async with desk.opened() as journal:
        settled = begin(journal).settle("success")
        began_at = desk.clock.monotonic()
        await desk.turn(0.05, lambda: desk.clock.monotonic() - began_at > 60)
        assert 5 <= len(desk.auth.batches) <= 14
        desk.auth.error = None
        await desk.turn(0.05, lambda: not journal.waiting)
        assert desk.auth.taken == {settled.id: settled}


async def test_what_auth_says_nothing_of_is_sent_again(desk: Desk) -> None:
    forgotten: set[str] = set()

    def forgets(record: UsageRecord) -> bool:
        is_new = record.id not in forgotten
        forgotten.add(record.id)
        return is_new

    desk.auth.forgets = forgets
    async with desk.opened() as journal:
        settled = [begin(journal).settle("success") for _ in range(5)]
        await desk.turn(0.1, lambda: not journal.waiting)
    assert set(desk.auth.taken) == {record.id for record in settled}


async def test_refused_records_are_kept_aside_and_hold_nothing_up(desk: Desk) -> None:
    desk.auth.refuses = lambda record: "Nobody's." if record.user_id == "nobody" else None
    async with desk.opened() as journal:
        good, bad = begin(journal).settle("success"), begin(journal, user="nobody").settle("success")
        await desk.turn(0.1, lambda: not journal.waiting)
    assert set(desk.auth.taken) == {good.id}
    aside = (desk.folder / "refused.jsonl").read_text()
    assert bad.id in aside
    assert "Nobody's." in aside
    assert good.id not in aside


async def test_a_record_that_auth_cannot_read_is_found_among_the_others(desk: Desk) -> None:
    async with desk.opened() as journal:
        records = [begin(journal).settle("success") for _ in range(40)]
        poison = records[13]
        answer = desk.auth.answers["recordUsage"]

        async def choke(request, meta, sink):  # type: ignore[no-untyped-def]
            if poison in request.records:
                raise BadRequest("recordUsage: this makes no sense.")
            return await answer(request, meta, sink)

        desk.auth.answers["recordUsage"] = choke
        await desk.turn(0.1, lambda: not journal.waiting)
    assert set(desk.auth.taken) == {record.id for record in records if record is not poison}
    assert poison.id in (desk.folder / "refused.jsonl").read_text()


async def test_refused_records_take_a_bounded_place(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperinfer.workers.gateway.journal.refused.MAX_BYTES", 2000)
    desk.auth.refuses = lambda _: "No."
    async with desk.opened() as journal:
        for _ in range(20):
            begin(journal).settle("success")
            await desk.turn(0.5, lambda: not journal.waiting)
    sizes = {path.name: path.stat().st_size for path in desk.folder.glob("refused*")}
    assert set(sizes) <= {"refused.jsonl", "refused.1.jsonl"}
    assert all(size < 3000 for size in sizes.values())


async def test_a_stop_delivers_what_is_there_and_waits_for_nobody(desk: Desk) -> None:
    async with desk.opened() as journal:
        settled = begin(journal).settle("success")
    assert set(desk.auth.taken) == {settled.id}
    desk.auth.error = Unavailable("Away.")
    async with desk.opened() as journal:
        begin(journal).settle("success")
    assert (await desk.left()).waiting == 1


async def test_a_stop_in_the_middle_of_a_batch_sends_it_again(desk: Desk) -> None:
    asked, answer = asyncio.Event(), desk.auth.answers["recordUsage"]

    async def stands_still_once(request, meta, sink):  # type: ignore[no-untyped-def]
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return await answer(request, meta, sink)

    desk.auth.answers["recordUsage"] = stands_still_once
    async with desk.opened() as journal:
        settled = begin(journal).settle("success")
        await desk.turn(0.01, asked.is_set)
    assert set(desk.auth.taken) == {settled.id}
    assert not journal.waiting


async def test_delivered_segments_are_removed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperinfer.workers.gateway.journal.writer.SEGMENT_BYTES", 1000)
    desk.auth.error = Unavailable("Away.")
    async with desk.opened() as journal:

        def several() -> bool:
            begin(journal).settle("success")
            return len(desk.segments) > 5

        await desk.turn(0.5, several)
        assert len(desk.segments) == 6
        desk.auth.error = None
        # The one being written is never removed, nor the one before it while all of it has only just been delivered.
        await desk.turn(0.5, lambda: len(desk.segments) <= 2)
        assert not journal.waiting
