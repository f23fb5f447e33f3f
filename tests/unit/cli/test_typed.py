"""What people type as times and limits, and how results are laid out."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.cli import limits, times
from hyperinfer.cli.output import target
from hyperinfer.cli.table import clipped, show_facts, show_table
from hyperinfer.errors import BadRequest
from hyperinfer.sdk import Limits

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "lasts"),
    [("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), (" 30d ", timedelta(days=30)), ("0m", timedelta())],
)
def test_a_duration(text: str, lasts: timedelta) -> None:
    assert times.duration(text, "--overlap") == lasts
    assert times.end(text, "--expires", now=NOW) == NOW + lasts


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "30 d", "999999d", "\N{ARABIC-INDIC DIGIT ONE}d"])
def test_what_is_no_duration_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(BadRequest, match="--overlap takes"):
        times.duration(text, "--overlap")


def test_a_day_ends_at_its_end_here_and_a_moment_when_it_is() -> None:
    day = times.end("2027-01-31", "--expires", now=NOW)
    assert day.tzinfo is not None
    assert day.astimezone().strftime("%Y-%m-%d %H:%M:%S") == "2027-01-31 23:59:59"
    assert times.end("2027-01-31T10:00:00Z", "--expires", now=NOW) == datetime(2027, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["soon", "2027-13-01", "31.1.2027", "2027-01-31T25:00"])
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(BadRequest, match="--expires takes a time from now on such as 12h"):
        times.end(text, "--expires", now=NOW)


def test_limits_are_laid_over_those_of_before() -> None:
    assert limits.read(()) is None
    assert limits.read(("requests-per-minute=10", "tokens_per_day=5")) == Limits(
        requests_per_minute=10, tokens_per_day=5
    )
    before = Limits(requests_per_minute=10, tokens_per_day=5)
    assert limits.read(("tokens-per-day=none",), before=before) == Limits(requests_per_minute=10)
    assert limits.read(("none",), before=before) == Limits()
    assert limits.read(("none", "concurrent-requests=2"), before=before) == Limits(concurrent_requests=2)
    assert limits.words(before) == "requests-per-minute=10 tokens-per-day=5"
    assert limits.words(None) == limits.words(Limits()) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("requests=10", "There is no limit 'requests'; there are requests-per-minute, "),
        ("requests-per-minute", "takes a whole number"),
        ("requests-per-minute=-1", "takes a whole number"),
        ("requests-per-minute=1.5", "takes a whole number"),
        ("requests-per-minute=²", "takes a whole number"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_is(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(said)):
        limits.read((text,))


def test_the_names_are_those_that_the_client_library_has() -> None:
    assert tuple(name.replace("_", "-") for name in Limits.__struct_fields__) == limits.NAMES


def test_the_help_names_every_limit() -> None:
    assert all(name in limits.HELP for name in limits.NAMES)


def test_columns_are_as_wide_as_what_is_in_them_and_numbers_stand_on_the_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table(("a", "long title", "n"), [("wide cell", None, 1), ("", "0", 10)])
    assert capsys.readouterr().out.splitlines() == [
        "A          LONG TITLE   N",
        "wide cell  -            1",
        "-          0           10",
    ]


def test_facts_stand_beside_their_names_and_empty_ones_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    show_facts([("user", "ada"), ("e-mail", "a@example.com"), ("limits", None), ("n", 0)])
    assert capsys.readouterr().out.splitlines() == ["user    ada", "e-mail  a@example.com", "n       0"]


def test_text_that_others_choose_is_clipped() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdefg", 6) == "abcde…"


def test_a_file_is_new_and_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with target(file) as out:
        out.write("a\r\n")
    assert file.read_bytes() == b"a\r\n"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadRequest, match="is there already"), target(file):
        pass
    with pytest.raises(BadRequest, match="Cannot write"), target(tmp_path / "none" / "out"):
        pass
