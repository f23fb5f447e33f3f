"""What a journal holds: nothing that was settled is lost, what never was is settled at the next start, and no more
begins than can be accounted."""

import stat

import msgspec
import pytest

from hyperinfer.contracts.inference import Usage
from hyperinfer.errors import StartError, Unavailable
from hyperinfer.workers.gateway.journal import JournalSettings, TokenWindow, lines

from .conftest import Desk, Going, all_waiting, begin


async def test_a_settled_request_is_told_as_it_was(desk: Desk) -> None:
    journal = await desk.left()
    going = Going()
    entry = begin(journal, going, label="r-1")
    going.model, going.worker, going.usage = "smol", "cd" * 32, Usage(prompt_tokens=7, completion_tokens=3)
    going.first_token_s, going.duration_s, going.estimated = 0.25, 1.5, False
    settled = entry.settle("success")
    assert await all_waiting(journal) == [settled]
    assert msgspec.structs.asdict(settled) == {
        "id": entry.id,
        "user_id": "u1",
        "api_key_id": "k1",
        "started_at": desk.clock.now(),
        "status": "success",
        "model": "smol",
        "kind": "chat",
        "worker": "cd" * 32,
        "prompt_hash": "ab" * 32,
        "request_id": "r-1",
        "error_code": None,
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "first_token_ms": 250.0,
        "duration_ms": 1500.0,
        "estimated": False,
    }


async def test_settling_twice_says_the_same_and_counts_once(desk: Desk) -> None:
    journal = await desk.left()
    entry = begin(journal)
    first = entry.settle("cancelled")
    assert entry.settle("success") == first
    assert journal.waiting == 1


async def test_what_was_settled_outlives_a_gateway_that_is_killed(desk: Desk) -> None:
    journal = await desk.left()
    settled = [begin(journal).settle("success") for _ in range(3)]
    after = await desk.left()
    assert after.waiting == 3
    assert after.cut == ()
    assert await all_waiting(after) == settled


async def test_what_was_never_settled_is_settled_with_what_was_noted_last(desk: Desk) -> None:
    going = Going(model="smol", worker="cd" * 32)
    async with desk.opened() as journal:
        entry, silent = begin(journal, going), begin(journal)
        going.usage, going.duration_s, going.first_token_s = Usage(prompt_tokens=9, completion_tokens=4), 0.4, 0.1
        await desk.turn(0.1, lambda: entry.record.completion_tokens == 4)
        after = await desk.left()
        cut = {record.id: record for record in after.cut}
        assert set(cut) == {entry.id, silent.id}
        record = cut[entry.id]
        assert (record.status, record.error_code, record.estimated) == ("error", "GATEWAY_KILLED", True)
        assert (record.prompt_tokens, record.completion_tokens) == (9, 4)
        assert (record.model, record.worker, record.duration_ms, record.first_token_ms) == ("smol", "cd" * 32, 400, 100)
        assert (cut[silent.id].prompt_tokens, cut[silent.id].model) == (0, "m")
        assert list(await all_waiting(after)) == list(after.cut)
        assert (await desk.left()).cut == ()


async def test_a_request_under_way_outlives_the_segment_that_it_began_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperinfer.workers.gateway.journal.writer.SEGMENT_BYTES", 2000)
    going = Going()
    async with desk.opened() as journal:
        entry = begin(journal, going)
        going.usage = Usage(prompt_tokens=5, completion_tokens=2)
        first = desk.segments[0]
        settled = 0

        def gone() -> bool:
            nonlocal settled
            begin(journal).settle("success")
            settled += 1
            return not first.exists()

        await desk.turn(1.0, gone)
        after = await desk.left()
        assert [(record.id, record.completion_tokens) for record in after.cut] == [(entry.id, 2)]
        known = {record.id for record in await all_waiting(after)} | set(desk.auth.taken)
        assert len(known - {entry.id}) == settled


async def test_what_was_delivered_is_not_delivered_again_after_a_stop(desk: Desk) -> None:
    async with desk.opened() as journal:
        begin(journal).settle("success")
        await desk.turn(1.0, lambda: not journal.waiting)
        begin(journal).settle("success")
    assert len(desk.auth.taken) == 2
    assert (await desk.left()).waiting == 0
    assert sum(desk.auth.batches) == 2


async def test_the_journal_refuses_more_than_it_may_hold_until_there_is_room(desk: Desk) -> None:
    desk.settings = JournalSettings(max_undelivered=10)
    desk.auth.error = Unavailable("Away.")
    async with desk.opened() as journal:
        for _ in range(7):
            begin(journal).settle("success")
        under_way = [begin(journal) for _ in range(2)]
        assert journal.reasons == []
        under_way.append(begin(journal))
        with pytest.raises(Unavailable) as caught:
            begin(journal)
        assert caught.value.details["retry_after_s"] > 0
        assert "no more are taken" in journal.reasons[0]
        for entry in under_way:
            entry.settle("error")
        with pytest.raises(Unavailable):
            begin(journal)
        desk.auth.error = None
        await desk.turn(1.0, lambda: not journal.waiting)
        assert journal.reasons == []
        begin(journal).settle("success")


async def test_a_torn_end_says_nothing_and_costs_nothing_before_it(desk: Desk) -> None:
    journal = await desk.left()
    settled = begin(journal).settle("success")
    content = desk.segments[0].read_bytes()
    cut_at = content.rindex(b"s{")
    for size in range(cut_at - 8, len(content) - 1):
        desk.segments[0].write_bytes(content[:size])
        after = await desk.left()
        assert [record.id for record in after.cut] == [settled.id]
        assert not list(desk.folder.glob("*.damaged"))
        desk.segments[1].unlink()


async def test_an_altered_line_is_told_and_kept_and_costs_itself_alone(desk: Desk) -> None:
    journal = await desk.left()
    one, two, three = (begin(journal).settle("success") for _ in range(3))
    path = desk.segments[0]
    content = path.read_bytes()
    parts = content.split(b"s{")
    parts[2] = parts[2].replace(b'"userId":"u1"', b'"userId":"u2"')
    path.write_bytes(b"s{".join(parts))
    after = await desk.left()
    assert {record.id for record in await all_waiting(after)} == {one.id, two.id, three.id}
    assert [record.id for record in after.cut] == [two.id]
    (kept,) = desk.folder.glob("*.damaged")
    assert b'"userId":"u2"' in kept.read_bytes()


async def test_records_that_rot_while_they_wait_hold_nothing_up(desk: Desk) -> None:
    journal = await desk.left()
    begin(journal).settle("success")
    path = desk.segments[0]
    path.write_bytes(path.read_bytes().replace(b'"userId":"u1"', b'"userId":"u2"'))
    assert await all_waiting(journal) == []
    assert journal.waiting == 0
    settled = begin(journal).settle("success")
    assert await all_waiting(journal) == [settled]


async def test_token_windows_are_kept_as_long_as_they_mean_something(desk: Desk) -> None:
    now = int(desk.clock.now().timestamp())
    minute = TokenWindow("user:u1", "minute", now, now + 60, 10)
    day = TokenWindow("user:u1", "day", now, now + 86400, 10)
    async with desk.opened() as journal:
        journal.keep([minute, day])
        journal.keep([msgspec.structs.replace(day, tokens=25)])
        after = await desk.left()
        assert set(after.windows) == {minute, TokenWindow("user:u1", "day", now, now + 86400, 25)}
        desk.clock.advance(61)
        assert [window.kind for window in (await desk.left()).windows] == ["day"]


async def test_a_journal_of_a_newer_version_stops_the_start(desk: Desk) -> None:
    await desk.left()
    desk.segments[0].write_bytes(lines.line_of(lines.FORMAT, lines.VERSION + 1))
    with pytest.raises(StartError, match="newer version"):
        await desk.left()


async def test_a_folder_that_cannot_be_used_stops_the_start(desk: Desk) -> None:
    desk.folder.write_text("a file")
    with pytest.raises(StartError, match="journal"):
        await desk.left()


async def test_nobody_else_can_read_it(desk: Desk) -> None:
    await desk.left()
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(desk.segments[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("hostile", ["x" * 1000, "a\nb", "\x00", "\u202e", "\ud800", "é" * 200, '"}\n'])
async def test_no_label_and_no_model_name_breaks_a_line(desk: Desk, hostile: str) -> None:
    journal = await desk.left()
    entry = begin(journal, Going(model=hostile.replace("\ud800", "")), label=hostile)
    settled = entry.settle("success")
    (told,) = await all_waiting(await desk.left())
    assert told == settled
    assert told.request_id is not None
    assert len(told.request_id) <= 128
    assert told.request_id.isprintable()


async def test_what_a_worker_counts_is_bounded(desk: Desk) -> None:
    journal = await desk.left()
    begin(journal, Going(usage=Usage(prompt_tokens=-5, completion_tokens=10**30))).settle("success")
    (told,) = await all_waiting(journal)
    assert (told.prompt_tokens, told.completion_tokens) == (0, 2**31)
