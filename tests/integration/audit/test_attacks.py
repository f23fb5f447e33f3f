"""Somebody has the database's password, and changes what the audit log says. Verifying finds it."""

import asyncio
import os

import pytest

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.workers.auth.audit.key import FILE
from hyperinfer.workers.auth.audit.verify import PAGE

from .conftest import Books

LOWER = "UPDATE heads SET audit_seq = :seq, audit_link = (SELECT link FROM audit_log WHERE seq = :seq)"


async def test_a_log_that_nobody_touched_is_intact(books: Books) -> None:
    ada = await books.person()
    await books.write(20, by=ada)
    await books.publish()
    verdict = await books.verify()
    assert verdict.intact
    assert (verdict.rows, verdict.last, verdict.heads) == (21, 21, 1)


async def test_an_empty_log_is_intact(books: Books) -> None:
    verdict = await books.verify()
    assert verdict.intact
    assert verdict.rows == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "'key.revoked'"),
        ("outcome", "'failed'"),
        ("actor", "NULL"),
        ("target", f"'{'c' * 32}'"),
        ("remote", "'10.0.0.1'"),
        ("gateway", "'local'"),
        ("request_id", "'r2'"),
        ("details", "'{}'"),
        ("at", "(SELECT at FROM audit_log WHERE seq = 3)"),
        ("link", "(SELECT link FROM audit_log WHERE seq = 3)"),
    ],
)
async def test_an_altered_row_is_named(books: Books, column: str, value: str) -> None:
    ada = await books.person()
    await books.write(10, by=ada)
    await books.sql(f"UPDATE audit_log SET {column} = {value} WHERE seq = 7")
    verdict = await books.verify()
    assert (verdict.problems[0].kind, verdict.problems[0].first, verdict.problems[0].last) == ("altered", 7, 7)
    assert verdict.found == (2 if column == "link" else 1)


async def test_a_removed_row_is_named(books: Books) -> None:
    await books.write(10)
    await books.sql("DELETE FROM audit_log WHERE seq IN (4, 5)")
    verdict = await books.verify()
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("removed", 4, 5)]


async def test_a_removed_beginning_is_named(books: Books) -> None:
    await books.write(10)
    await books.sql("DELETE FROM audit_log WHERE seq <= 3")
    verdict = await books.verify()
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("removed", 1, 3)]


async def test_a_removed_row_is_found_when_those_after_it_move_up(books: Books) -> None:
    await books.write(10)
    await books.sql(
        "DELETE FROM audit_log WHERE seq = 4",
        *(f"UPDATE audit_log SET seq = {seq - 1} WHERE seq = {seq}" for seq in range(5, 11)),
        LOWER,
        seq=9,
    )
    assert await books.kinds() == ["altered"] * 6


async def test_rows_that_changed_places_are_found(books: Books) -> None:
    await books.write(10)
    await books.sql(
        "UPDATE audit_log SET seq = 99 WHERE seq = 4",
        "UPDATE audit_log SET seq = 4 WHERE seq = 6",
        "UPDATE audit_log SET seq = 6 WHERE seq = 99",
    )
    verdict = await books.verify()
    assert {one.first for one in verdict.problems} == {4, 5, 6, 7}


async def test_a_cut_off_end_is_found_by_the_row_heads(books: Books) -> None:
    await books.write(10)
    await books.sql("DELETE FROM audit_log WHERE seq > 8")
    verdict = await books.verify()
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("cut_off", 9, 10)]


async def test_a_cut_off_end_is_found_by_what_was_published(books: Books) -> None:
    await books.write(10)
    await books.publish()
    await books.sql("DELETE FROM audit_log WHERE seq > 8", LOWER, seq=8)
    verdict = await books.verify()
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("cut_off", 9, 10)]
    # Rows that are written in their place do not hide it.
    await books.write(5)
    assert await books.kinds() == ["replaced"]


async def test_a_cut_off_end_is_found_by_the_head_that_another_member_has(books: Books) -> None:
    await books.write(10)
    head = await books.publish()
    (books.data / "audit.heads").unlink()
    await books.sql("DELETE FROM audit_log WHERE seq > 8", LOWER, seq=8)
    assert (await books.verify()).intact
    verdict = await books.verify([head])
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("cut_off", 9, 10)]


async def test_an_emptied_log_is_found(books: Books) -> None:
    await books.write(10)
    await books.publish()
    await books.sql("DELETE FROM audit_log", "UPDATE heads SET audit_seq = 0, audit_link = ''")
    assert await books.kinds() == ["cut_off"]


async def test_an_invented_row_is_found(books: Books) -> None:
    await books.write(10)
    copied = "at, action, outcome, actor, target, remote, gateway, request_id, details, link"
    invent = f"INSERT INTO audit_log (seq, {copied}) SELECT 11, {copied} FROM audit_log WHERE seq = 10"
    await books.sql(invent)
    assert await books.kinds() == ["altered", "added"]
    await books.sql(LOWER, seq=11)
    assert await books.kinds() == ["altered"]


async def test_an_altered_head_is_found(books: Books) -> None:
    await books.write(10)
    await books.sql("UPDATE heads SET audit_link = (SELECT link FROM audit_log WHERE seq = 9)")
    assert await books.kinds() == ["head"]
    await books.sql("UPDATE heads SET audit_seq = 9")
    assert await books.kinds() == ["added"]


async def test_another_key_is_told_from_alterations(books: Books) -> None:
    await books.write(10)
    (books.data / FILE).write_bytes(os.urandom(32))
    verdict = await books.verify()
    assert [(one.kind, one.first, one.last) for one in verdict.problems] == [("key", 1, 10)]


async def test_a_log_written_anew_with_the_stolen_key_does_not_fit_what_was_published(books: Books) -> None:
    await books.write(10)
    head = await books.publish()
    await books.sql("DELETE FROM audit_log", "UPDATE heads SET audit_seq = 0, audit_link = ''")
    await books.write(10, action="nothing.happened")
    assert await books.kinds() == ["replaced"]
    assert not (await books.verify([head])).intact


async def test_a_given_head_of_another_row_is_no_match(books: Books) -> None:
    await books.write(3)
    given = AuditHead(seq=2, link="0" * 64, at=books.clock.now())
    verdict = await books.verify([given])
    assert [(one.kind, one.first) for one in verdict.problems] == [("replaced", 2)]


async def test_verifying_goes_on_while_auth_writes(books: Books) -> None:
    await books.write(5)
    ended = asyncio.Event()

    async def auth() -> None:
        while not ended.is_set():
            await books.write(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(auth())
        seen = set[int]()
        while len(seen) < 5:
            await books.publish()
            verdict = await books.verify()
            assert verdict.intact
            seen.add(verdict.last)
        ended.set()


@pytest.mark.slow
async def test_a_long_log_is_followed_page_by_page(books: Books) -> None:
    async with books.database.change(books.origin()) as change:
        for _ in range(2 * PAGE + 10):
            await change.audit("key.created")
    await books.sql("UPDATE audit_log SET remote = '' WHERE seq IN (:first, :second)", first=PAGE, second=PAGE + 1)
    verdict = await books.verify()
    assert [one.first for one in verdict.problems] == [PAGE, PAGE + 1]
    assert verdict.rows == 2 * PAGE + 10
