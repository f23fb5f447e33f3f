"""The journal's files: whatever happened to them, what they still say is what was written, and in its order."""

from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.workers.gateway.journal import lines
from hyperinfer.workers.gateway.journal.lines import Note, content_of, line_of
from hyperinfer.workers.gateway.journal.replay import Replay
from hyperinfer.workers.gateway.journal.segments import Found, read

records = st.builds(
    UsageRecord,
    id=st.uuids().map(str),
    user_id=st.sampled_from(["u1", "u2"]),
    started_at=st.datetimes(timezones=st.just(UTC)),
    status=st.sampled_from(["success", "error", "timeout", "cancelled"]),
    model=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    prompt_tokens=st.integers(0, 2**31),
    completion_tokens=st.integers(0, 2**31),
)


@given(kind=st.sampled_from([lines.BEGUN, lines.SETTLED]), record=records)
def test_a_line_says_what_was_written(kind: bytes, record: UsageRecord) -> None:
    line = line_of(kind, record)
    assert line.count(b"\n") == 1
    content = content_of(line)
    assert content is not None
    assert content[0] == kind == lines.kind_of(line)
    assert lines.records.decode(content[1]) == record


@given(record=records, where=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_altered_bit_is_found(record: UsageRecord, where: int, bit: int) -> None:
    line = bytearray(line_of(lines.SETTLED, record))
    where %= len(line)
    line[where] ^= 1 << bit
    assert content_of(bytes(line)) is None


@given(st.binary(max_size=200))
def test_noise_is_no_line(noise: bytes) -> None:
    content_of(noise)  # says something, whatever comes
    assert content_of(noise.replace(b" ", b"")) is None


def found_in(content: bytes) -> list[Found]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        path.write_bytes(content)
        return list(read(path, start=100, position=100))


@given(st.lists(records, max_size=8), st.data())
def test_a_segment_cut_anywhere_says_all_that_was_whole(written: list[UsageRecord], data: Any) -> None:
    each = [line_of(lines.SETTLED, record) for record in written]
    content = b"".join(each)
    size = data.draw(st.integers(0, len(content)))
    whole = 0
    for line in each:
        if whole + len(line) > size:
            break
        whole += len(line)
    found = found_in(content[:size])
    assert [position for position, _, _ in found] == [
        100 + sum(map(len, each[: n + 1])) for n in range(content[:whole].count(b"\n"))
    ]
    assert [lines.records.decode(text) for _, _, text in found] == written[: len(found)]


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_a_segment_altered_anywhere_loses_no_line_but_those_altered(written: list[UsageRecord], data: Any) -> None:
    each = [line_of(lines.SETTLED, record) for record in written]
    victim = data.draw(st.integers(0, len(each) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=30))
    at = data.draw(st.integers(0, len(each[victim]) - 1))
    altered = each[victim][:at] + noise + each[victim][at:]
    found = found_in(b"".join([*each[:victim], altered, *each[victim + 1 :]]))
    told = [lines.records.decode(text) for _, kind, text in found if kind == lines.SETTLED]
    assert [record for n, record in enumerate(written) if n != victim] == [
        record for record in told if record != written[victim] or written.count(record) > 1
    ]


@given(st.lists(st.tuples(st.sampled_from("bns"), st.integers(0, 5), st.integers(0, 1000)), max_size=40))
def test_replaying_agrees_with_a_plain_account(steps: list[tuple[str, int, int]]) -> None:
    base = msgspec.convert(
        {"id": "0" * 36, "userId": "u", "startedAt": "2026-01-01T00:00:00Z", "status": "error", "model": "m"},
        UsageRecord,
    )
    begun: dict[str, int] = {}
    settled: list[str] = []
    content = b""
    for what, number, tokens in steps:
        name = f"{number:036d}"
        record = msgspec.structs.replace(base, id=name, completion_tokens=tokens)
        if what == "b" and name not in begun and name not in settled:
            begun[name] = tokens
            content += line_of(lines.BEGUN, record)
        elif what == "n":
            if name in begun:
                begun[name] = tokens
            note = Note(id=name, prompt_tokens=0, completion_tokens=tokens, duration_ms=1)
            content += line_of(lines.NOTED, [note])
        elif what == "s" and begun.pop(name, None) is not None:
            settled.append(name)
            content += line_of(lines.SETTLED, record)
    replay = Replay()
    replay.take(found_in(content))
    assert {name: record.completion_tokens for name, record in replay.unsettled.items()} == begun
    assert (replay.waiting, replay.damaged) == (len(settled), 0)
