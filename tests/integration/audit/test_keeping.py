"""Keeping the log: its key, its published heads, and what is noted aside while the database may be away."""

import asyncio
import os
import signal
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from hyperinfer.contracts.audit import HEAD, AuditHead, AuditQuery
from hyperinfer.errors import IdentityError, StartError, Unavailable
from hyperinfer.testing.eventually import eventually
from hyperinfer.workers.auth.audit import anew, aside, heads, key, marks
from hyperinfer.workers.auth.audit.aside import note_aside
from hyperinfer.workers.auth.audit.keeper import PUBLISH_EVERY_S, TICK_S, kept_audit
from hyperinfer.workers.auth.audit.taking import TAKEN, take_in

from .conftest import Books


async def actions(books: Books) -> list[str]:
    """What was done, oldest first."""
    return [row.action for row in reversed((await books.log.page(AuditQuery())).rows)]


async def passes(books: Books, condition: Callable[[], bool]) -> None:
    """The hands of the clock go round until something has happened."""

    async def look() -> bool:
        books.clock.advance(TICK_S)
        return condition()

    await eventually(look)


# --- the key ---------------------------------------------------------------------------------------------------


async def test_the_key_is_made_once_for_its_owner_alone(books: Books) -> None:
    path = books.data / key.FILE
    made = await key.audit_key(books.engine, books.data)
    assert len(made) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await books.write(3)
    assert await key.audit_key(books.engine, books.data) == made == path.read_bytes()


async def test_a_key_that_is_gone_is_not_replaced_in_silence(books: Books) -> None:
    await books.write(1)
    (books.data / key.FILE).unlink()
    with pytest.raises(IdentityError, match=r"is gone\. Restore it from a backup"):
        await key.audit_key(books.engine, books.data)
    assert not (books.data / key.FILE).exists()
    # Nor is it where the rows were taken away with it.
    await books.sql("DELETE FROM audit_log")
    with pytest.raises(IdentityError):
        await key.audit_key(books.engine, books.data)


@pytest.mark.parametrize("rows", [1, 5])
async def test_another_key_is_refused(books: Books, rows: int) -> None:
    await books.write(rows)
    (books.data / key.FILE).write_bytes(os.urandom(32))
    with pytest.raises(IdentityError, match="not the key that the audit log was written with"):
        await key.audit_key(books.engine, books.data)


@pytest.mark.parametrize("content", [b"", b"x" * 31])
async def test_a_damaged_key_is_refused(books: Books, content: bytes) -> None:
    (books.data / key.FILE).write_bytes(content)
    with pytest.raises(IdentityError, match=r"damaged.*hyperinfer audit restart"):
        await key.audit_key(books.engine, books.data)


async def test_an_altered_row_does_not_keep_auth_from_starting(books: Books) -> None:
    await books.write(5)
    for seq in (1, 3):
        await books.sql("UPDATE audit_log SET remote = '' WHERE seq = :seq", seq=seq)
        await key.audit_key(books.engine, books.data)


# --- heads -----------------------------------------------------------------------------------------------------


async def test_the_head_is_published_each_minute_if_it_has_moved(books: Books) -> None:
    await books.write(1)
    async with kept_audit(books.database, books.data, books.clock) as keeper:
        assert keeper.head is not None
        assert keeper.head.seq == 1
        assert await keeper.extra() == {HEAD: keeper.head}
        await books.write(2)
        began = books.clock.monotonic()
        await passes(books, lambda: keeper.head is not None and keeper.head.seq == 3)
        assert books.clock.monotonic() - began <= PUBLISH_EVERY_S + 2 * TICK_S
        await books.write(1)
    assert [head.seq for head in heads.read(books.data).heads] == [1, 3, 4]
    assert stat.S_IMODE((books.data / heads.FILE).stat().st_mode) == 0o600
    async with kept_audit(books.database, books.data, books.clock) as keeper:
        assert keeper.head is not None
        assert keeper.head.seq == 4
    assert [head.seq for head in heads.read(books.data).heads] == [1, 3, 4]
    assert (await books.verify()).heads == 3


async def test_an_empty_log_publishes_nothing(books: Books) -> None:
    async with kept_audit(books.database, books.data, books.clock) as keeper:
        assert await keeper.extra() == {}
    assert not (books.data / heads.FILE).exists()


async def test_a_log_that_lost_a_published_row_is_said_so_and_published_no_more(books: Books) -> None:
    await books.write(5)
    head = await books.publish()
    await books.sql("DELETE FROM audit_log WHERE seq > 3", "UPDATE heads SET audit_seq = 3")
    await books.sql("UPDATE heads SET audit_link = (SELECT link FROM audit_log WHERE seq = 3)")
    await books.write(4)
    with capture_logs() as logs:
        async with kept_audit(books.database, books.data, books.clock) as keeper:
            assert keeper.head == head
    assert {entry["event"] for entry in logs} == {"audit_log_tampered"}
    assert [one.seq for one in heads.read(books.data).heads] == [5]


async def test_only_the_newest_heads_are_kept(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "KEPT", 10)
    monkeypatch.setattr(heads, "SPARE", 5)
    for seq in range(1, 41):
        heads.append(books.data, AuditHead(seq=seq, link="0" * 64, at=books.clock.now()))
        kept = [head.seq for head in heads.read(books.data).heads]
        assert kept == list(range(kept[0], seq + 1))
        assert min(10, seq) <= len(kept) <= 15
    assert stat.S_IMODE((books.data / heads.FILE).stat().st_mode) == 0o600


async def test_a_head_torn_by_a_power_cut_gives_way_to_the_next(books: Books) -> None:
    await books.write(1)
    await books.publish()
    with (books.data / heads.FILE).open("ab") as file:
        file.write(b'{"seq":2,"li')
    assert heads.read(books.data).damaged == 0
    await books.write(1)
    await books.publish()
    published = heads.read(books.data)
    assert [head.seq for head in published.heads] == [1, 2]
    assert published.damaged == 0


async def test_a_line_that_somebody_spoiled_is_counted(books: Books) -> None:
    await books.write(1)
    (books.data / heads.FILE).write_bytes(b"x\n")
    await books.publish()
    assert heads.read(books.data).damaged == 1


# --- what an operator does to the whole ------------------------------------------------------------------------


async def test_a_lost_key_is_followed_by_a_new_beginning(books: Books) -> None:
    await books.write(5)
    await books.publish()
    (books.data / key.FILE).unlink()
    mark = await anew.restart(books.engine, books.data, books.clock)
    assert mark.seq == 5
    made = await key.audit_key(books.engine, books.data)
    assert made == (books.data / key.FILE).read_bytes()
    assert (await actions(books))[-1] == "audit.restarted"
    verdict = await books.verify()
    assert verdict.intact
    assert verdict.rows == 1
    await books.sql("UPDATE audit_log SET action = 'x' WHERE seq = 6")
    assert not (await books.verify()).intact


async def test_a_new_beginning_keeps_a_key_that_is_whole_and_a_damaged_one_aside(books: Books) -> None:
    made = (books.data / key.FILE).read_bytes()
    await books.write(2)
    await anew.restart(books.engine, books.data, books.clock)
    assert (books.data / key.FILE).read_bytes() == made
    (books.data / key.FILE).write_bytes(b"x")
    await anew.restart(books.engine, books.data, books.clock)
    assert {path.read_bytes() for path in books.data.glob(f"{key.FILE}.*")} == {b"x"}
    assert (await books.verify()).intact


async def test_tampering_of_before_is_past_with_a_new_beginning(books: Books) -> None:
    await books.write(5)
    await books.publish()
    await books.sql("UPDATE audit_log SET link = (SELECT link FROM audit_log WHERE seq = 1) WHERE seq = 5")
    await anew.restart(books.engine, books.data, books.clock)
    async with kept_audit(books.database, books.data, books.clock) as keeper:
        assert keeper.head is not None
        assert keeper.head.seq == 6
    assert (await books.verify()).intact


async def test_a_new_beginning_mends_where_the_next_row_goes(books: Books) -> None:
    await books.write(5)
    await books.sql("UPDATE heads SET audit_seq = 3")
    await anew.restart(books.engine, books.data, books.clock)
    await books.sql("DELETE FROM audit_log WHERE seq = 6", "UPDATE heads SET audit_seq = 5")
    assert await books.kinds() == ["head"]


async def test_rows_of_before_may_not_go_with_the_new_beginning(books: Books) -> None:
    await books.write(5)
    await anew.restart(books.engine, books.data, books.clock)
    await books.sql("DELETE FROM audit_log", "UPDATE heads SET audit_seq = 0, audit_link = ''")
    assert await books.kinds() == ["cut_off"]


async def test_a_restored_database_is_no_tampering(books: Books) -> None:
    await books.write(5)
    await books.publish()
    await books.sql("DELETE FROM audit_log WHERE seq > 3", "UPDATE heads SET audit_seq = 3")
    await books.sql("UPDATE heads SET audit_link = (SELECT link FROM audit_log WHERE seq = 3)")
    assert await books.kinds() == ["cut_off"]
    books.clock.advance(1)
    await anew.restored(books.database, books.data, books.clock.now())
    assert (await books.verify()).intact
    async with kept_audit(books.database, books.data, books.clock):
        pass
    assert (await actions(books))[-1] == "database.restored"
    await books.write(3)
    await books.publish()
    verdict = await books.verify()
    assert verdict.intact
    assert verdict.heads == 2
    # What was published since holds again.
    await books.sql("DELETE FROM audit_log WHERE seq > 5", "UPDATE heads SET audit_seq = 5")
    await books.sql("UPDATE heads SET audit_link = (SELECT link FROM audit_log WHERE seq = 5)")
    assert await books.kinds() == ["cut_off"]


def test_marks_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    (tmp_path / marks.FILE).write_text("[{}]")
    with pytest.raises(StartError, match="cannot be understood"):
        marks.read(tmp_path)


# --- aside -----------------------------------------------------------------------------------------------------


async def test_what_is_noted_aside_becomes_rows_in_its_order(books: Books) -> None:
    noted = books.clock.now()
    for number in range(3):
        note_aside(books.data, f"member.note{number}", now=noted, outcome="refused", details={"n": str(number)})
    assert stat.S_IMODE((books.data / aside.FILE).stat().st_mode) == 0o600
    books.clock.advance(100)
    assert await take_in(books.database, books.data) == 3
    assert await take_in(books.database, books.data) == 0
    assert await actions(books) == ["member.note0", "member.note1", "member.note2"]
    row = (await books.log.page(AuditQuery())).rows[0]
    assert (row.at, row.gateway, row.outcome, row.details) == ("2026-01-01T00:00:00Z", "local", "refused", {"n": "2"})
    assert (await books.verify()).intact


async def test_auth_takes_in_what_others_note_while_it_runs(books: Books) -> None:
    note_aside(books.data, "member.added", now=books.clock.now())
    async with kept_audit(books.database, books.data, books.clock) as keeper:
        assert await actions(books) == ["member.added"]
        await keeper.note("member.joined", "ok", {"member": "cd" * 32})

        async def is_there() -> bool:
            books.clock.advance(TICK_S)
            return await actions(books) == ["member.added", "member.joined"]

        await eventually(is_there)
        note_aside(books.data, "member.revoked", now=books.clock.now())
    assert (await actions(books))[-1] == "member.revoked"


async def test_a_note_is_taken_once_whatever_the_moment_of_a_kill(books: Books) -> None:
    for number in range(3):
        note_aside(books.data, f"member.note{number}", now=books.clock.now())
    left = (books.data / aside.FILE).read_bytes()
    await take_in(books.database, books.data)
    # Killed after the rows were committed, before the file was removed; more has been noted since.
    (books.data / TAKEN).write_bytes(left)
    note_aside(books.data, "member.note3", now=books.clock.now())
    await take_in(books.database, books.data)
    # Killed before anything was committed.
    note_aside(books.data, "member.note4", now=books.clock.now())
    (books.data / aside.FILE).rename(books.data / TAKEN)
    await take_in(books.database, books.data)
    assert await actions(books) == [f"member.note{number}" for number in range(5)]
    assert (await books.verify()).intact


async def test_a_note_torn_by_a_power_cut_spoils_no_other(books: Books) -> None:
    note_aside(books.data, "member.one", now=books.clock.now())
    with (books.data / aside.FILE).open("ab") as file:
        file.write(b'{"id":"1","at"')
    note_aside(books.data, "member.two", now=books.clock.now())
    with capture_logs() as logs:
        await take_in(books.database, books.data)
    assert await actions(books) == ["member.one", "member.two"]
    assert [entry["event"] for entry in logs] == ["audit_note_damaged"]


async def test_notes_wait_for_a_database_that_is_away(books: Books) -> None:
    note_aside(books.data, "member.revoked", now=books.clock.now())
    await books.sql("ALTER TABLE audit_log RENAME TO elsewhere")
    with pytest.raises(Unavailable):
        await take_in(books.database, books.data)
    note_aside(books.data, "member.added", now=books.clock.now())
    await books.sql("ALTER TABLE elsewhere RENAME TO audit_log")
    await take_in(books.database, books.data)
    assert await actions(books) == ["member.revoked", "member.added"]


async def test_what_waits_is_bounded(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "MAX_BYTES", 1000)

    def fill() -> None:
        for _ in range(20):
            note_aside(books.data, "member.added", now=books.clock.now())

    with pytest.raises(Unavailable, match="full"):
        fill()
    assert (books.data / aside.FILE).stat().st_size < 2000


NOTES = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from hyperinfer.workers.auth.audit.aside import note_aside

for number in range(100_000):
    note_aside(Path(sys.argv[1]), f"member.note{number}", now=datetime.now(UTC))
    print(number, flush=True)
"""


@pytest.mark.slow
async def test_what_was_noted_survives_a_kill_in_its_order(books: Books) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", NOTES, str(books.data), stdout=PIPE)
    assert child.stdout is not None
    taken = 0
    for _ in range(30):
        await child.stdout.readline()
        taken += await take_in(books.database, books.data)
    os.kill(child.pid, signal.SIGKILL)
    noted = 30 + len((await child.stdout.read()).decode().split("\n")) - 1
    await child.wait()
    taken += await take_in(books.database, books.data)
    assert taken in {noted, noted + 1}  # it may have died between the note and the word of it
    rows = []
    query = AuditQuery(limit=200)
    while True:
        page = await books.log.page(query)
        rows += [row.action for row in page.rows]
        if page.next is None:
            break
        query = msgspec.structs.replace(query, cursor=page.next)
    assert rows == [f"member.note{number}" for number in reversed(range(taken))]
    assert (await books.verify()).intact
