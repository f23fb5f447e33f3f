"""The audit log's chain: whatever is done to its rows without the key is found; what others write into it is harmless."""

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.audit import AuditHead
from hyperinfer.workers.auth.audit.chain import START, Entry, link_of
from hyperinfer.workers.auth.audit.entries import entry_of
from hyperinfer.workers.auth.audit.texts import MAX_DETAIL, MAX_DETAILS, harmless
from hyperinfer.workers.auth.audit.walk import End, Verdict, Walk
from hyperinfer.workers.auth.origin import MAX_REMOTE, MAX_REQUEST_ID, Origin

KEY = b"k" * 32
OTHER = b"o" * 32
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)

Rows = list[tuple[Entry, str]]

words = st.text(max_size=300)


def written(rows: int, key: bytes = KEY) -> Rows:
    log: Rows = []
    before = START
    for number in range(1, rows + 1):
        entry = entry_of(
            Origin(actor=Actor(user_id="u"), remote="127.0.0.1", request_id=f"r{number}"),
            "key.created",
            seq=number,
            at=BEGAN + timedelta(seconds=number),
            outcome="ok",
            actor="a" * 32,
            target=None,
            details={"n": str(number)},
        )
        before = link_of(entry, before=before, key=key)
        log.append((entry, before))
    return log


def told(rows: Rows, end: End | None = None, *, key: bytes = KEY, heads: tuple[AuditHead, ...] = ()) -> Verdict:
    walk = Walk(key, heads=heads)
    for entry, link in rows:
        walk.take(entry, link)
    last = rows[-1][0].seq if rows else 0
    return walk.end(end or End(seq=last, link=rows[-1][1] if rows else START, last=last))


def end_of(rows: Rows) -> End:
    return End(seq=rows[-1][0].seq, link=rows[-1][1], last=rows[-1][0].seq)


def head_of(rows: Rows) -> AuditHead:
    return AuditHead(seq=rows[-1][0].seq, link=rows[-1][1], at=rows[-1][0].at)


@given(st.integers(0, 30))
def test_what_was_written_is_intact(rows: int) -> None:
    log = written(rows)
    heads = tuple(head_of(log[:upto]) for upto in range(1, rows + 1))
    verdict = told(log, heads=heads)
    assert verdict.intact
    assert (verdict.rows, verdict.last, verdict.heads) == (rows, rows, rows)


@given(
    st.integers(2, 12),
    st.data(),
    st.sampled_from(
        ["at", "action", "outcome", "actor", "target", "remote", "gateway", "request_id", "details", "link"]
    ),
)
def test_an_altered_row_is_named(rows: int, data: st.DataObject, column: str) -> None:
    log = written(rows)
    at = data.draw(st.integers(0, rows - 1))
    entry, link = log[at]
    if column == "at":
        log[at] = replace(entry, at=entry.at + timedelta(microseconds=1)), link
    elif column == "link":
        log[at] = entry, link_of(entry, before=START, key=OTHER)
    else:
        changed: dict[str, Any] = {column: data.draw(words.filter(lambda text: text != getattr(entry, column)))}
        log[at] = replace(entry, **changed), link
    verdict = told(log, end_of(written(rows)))
    assert verdict.problems[0].kind in {"altered", "key"}
    assert verdict.problems[0].first <= at + 1 <= verdict.problems[0].last


@given(st.integers(2, 12), st.data())
def test_removed_rows_are_named(rows: int, data: st.DataObject) -> None:
    log = written(rows)
    gone = data.draw(st.sets(st.integers(1, rows - 1), min_size=1))  # the last one stays
    verdict = told([(entry, link) for entry, link in log if entry.seq not in gone], end_of(log))
    missing = {
        seq
        for problem in verdict.problems
        if problem.kind == "removed"
        for seq in range(problem.first, problem.last + 1)
    }
    assert missing == gone


@given(st.integers(2, 12), st.data())
def test_rows_in_another_order_are_found(rows: int, data: st.DataObject) -> None:
    log = written(rows)
    order = data.draw(st.permutations(range(rows)).filter(lambda order: order != sorted(order)))
    moved = [(replace(log[source][0], seq=at + 1), log[source][1]) for at, source in enumerate(order)]
    assert not told(moved, end_of(log)).intact


@given(st.integers(1, 12), st.data())
def test_a_removed_row_is_found_when_those_after_it_are_renumbered(rows: int, data: st.DataObject) -> None:
    log = written(rows)
    gone = data.draw(st.integers(1, rows))
    left = [pair for pair in log if pair[0].seq != gone]
    renumbered = [(replace(entry, seq=at), link) for at, (entry, link) in enumerate(left, start=1)]
    # Even the row heads has been made to fit; only what was published remains.
    verdict = told(renumbered, heads=(head_of(log),))
    assert not verdict.intact


@given(st.integers(2, 12), st.data())
def test_a_log_cut_off_at_its_end_is_found(rows: int, data: st.DataObject) -> None:
    log = written(rows)
    left = log[: data.draw(st.integers(0, rows - 1))]
    by_row = told(left, replace(end_of(log), last=len(left)))
    by_head = told(left, heads=(head_of(log),))
    for verdict in (by_row, by_head):
        assert [problem.kind for problem in verdict.problems] == ["cut_off"]
        assert (verdict.problems[0].first, verdict.problems[0].last) == (len(left) + 1, rows)
    assert "published" in by_head.problems[0].said


@given(st.integers(1, 12), st.data())
def test_a_log_written_anew_by_whoever_has_the_key_does_not_fit_what_was_published(
    rows: int, data: st.DataObject
) -> None:
    log = written(rows)
    head = head_of(log)
    at = data.draw(st.integers(0, rows - 1))
    forged: Rows = []
    before = START
    for number, (entry, _) in enumerate(log):
        said = replace(entry, action="nothing.happened") if number == at else entry
        before = link_of(said, before=before, key=KEY)
        forged.append((said, before))
    assert told(forged).intact
    verdict = told(forged, heads=(head,))
    assert [problem.kind for problem in verdict.problems] == ["replaced"]


@given(st.integers(1, 12))
def test_another_key_is_told_from_altered_rows(rows: int) -> None:
    verdict = told(written(rows), key=OTHER)
    assert [problem.kind for problem in verdict.problems] == ["key"]
    assert (verdict.problems[0].first, verdict.problems[0].last) == (1, rows)


@given(st.integers(2, 12))
def test_rows_without_a_place_in_heads_are_found(rows: int) -> None:
    log = written(rows)
    verdict = told(log, replace(end_of(log[:-1]), last=rows))
    assert [problem.kind for problem in verdict.problems] == ["added"]


@given(words, st.integers(1, 100))
def test_text_of_others_becomes_one_visible_line(text: str, most: int) -> None:
    clean = harmless(text, most)
    assert len(clean) <= most
    assert not {unicodedata.category(char) for char in clean} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert "\x00" not in clean
    clean.encode()
    assert harmless(clean, most) == clean
    if text.isascii() and text.isprintable() and len(text) <= most:
        assert clean == text


@given(words, words, words, st.dictionaries(words, words, max_size=40))
def test_no_text_of_others_breaks_out_of_its_row(action: str, remote: str, label: str, details: dict[str, str]) -> None:
    entry = entry_of(
        Origin(remote=remote, request_id=label),
        action,
        seq=1,
        at=BEGAN,
        outcome="ok",
        actor=None,
        target=None,
        details=details,
    )
    said = json.loads(entry.details)
    assert len(said) <= MAX_DETAILS
    assert all(len(value) <= MAX_DETAIL for value in said.values())
    assert len(entry.action) <= 50
    assert len(entry.remote) <= MAX_REMOTE
    assert len(entry.request_id or "") <= MAX_REQUEST_ID
    for text in (entry.action, entry.remote, entry.request_id or "", entry.details):
        assert len(text.splitlines()) <= 1
        text.encode()
    link_of(entry, before=START, key=KEY)


def test_a_link_does_not_depend_on_the_zone_a_database_answers_in() -> None:
    entry, link = written(1)[0]
    moved = replace(entry, at=entry.at.astimezone(tz=None))
    assert link_of(moved, before=START, key=KEY) == link
