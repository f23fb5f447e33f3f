"""The forms of a report: all of it is there, nothing of it is run or fetched, and it is small enough to be mailed."""

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from hyperinfer.contracts.reports import Sums
from hyperinfer.workers.metrics.reports.figures import (
    Report,
    change,
    duration,
    label_of,
    money,
    percent,
    short,
    workers_of,
)
from hyperinfer.workers.metrics.reports.markup import LOOKS, SHEET
from hyperinfer.workers.metrics.reports.page import html_of
from hyperinfer.workers.metrics.reports.periods import week_of
from hyperinfer.workers.metrics.reports.plain import text_of
from hyperinfer.workers.metrics.reports.table import COLUMNS, csv_of

from .samples import FRIDAY, empty, hostile, report, sums

WEEK = week_of(FRIDAY)
ELEMENTS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "table",
    "tr",
    "td",
    "th",
    "div",
    "p",
    "h1",
    "h2",
    "span",
    "code",
}
ATTRIBUTES = {
    "lang",
    "charset",
    "name",
    "content",
    "class",
    "style",
    "width",
    "cellpadding",
    "cellspacing",
    "align",
    "valign",
    "title",
    "colspan",
}
MAX_BYTES = 100_000
"""Gmail shows no more of an e-mail than 102 kB."""


class Page(HTMLParser):
    """What a page is made of: its elements, their attributes, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.mark.parametrize("made", [report(), report(WEEK), hostile(), empty()], ids=["day", "week", "hostile", "empty"])
def test_a_page_is_whole_small_and_fetches_nothing(made: Report) -> None:
    markup = html_of(made)
    page = Page(markup)
    assert page.open == []
    assert page.elements <= ELEMENTS
    assert page.attributes <= ATTRIBUTES
    assert len(markup.encode()) < MAX_BYTES
    # All that could be fetched or run would stand in a style, or in an element or an attribute that is not among those.
    styles = "".join((SHEET, *LOOKS.values()))
    assert not re.search(r"url|@import|expression|http", styles)


def test_the_page_says_it_all() -> None:
    text = Page(html_of(report())).text
    for words in (
        "Friday, 20 November 2026",
        "1,234", "+12 % on the day before", "4.57 M", "-9 % on the day before", "1.38 % of requests",
        "Cost in EUR", "12.35", "llama3.1:70b", "ada", "ada: work (hi_Ab12Cd34…)", "deleted accounts", "without a key",
        "gpu-box", "> 99.9 %", "laptop", "43.2 %", "spare", "no worker",
        "most from 13:00 on, 98", "First token", "123 ms", "1 min 1 s", "BACKEND_FAILED", "7 more were cancelled",
        "usage-2026-11-20.csv",
    ):  # fmt: skip
        assert words in text


def test_the_text_says_the_same() -> None:
    text = text_of(report(WEEK))
    for words in (
        "Week 47",
        "8,638",
        "+12 % on the week before",
        "Mon 2026-11-16",
        "86.42 EUR",
        "gpu-box",
        "up 43.2 %",
        "2.35 s",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) < 80


@pytest.mark.parametrize("form", [html_of, text_of])
def test_a_name_is_text_of_one_line_and_turns_nothing_round(form: Callable[[Report], str]) -> None:
    made = form(hostile())
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in made
    assert "\r" not in made
    assert "\nb: c" not in made
    if form is html_of:
        assert "<script" not in made
        assert "<img" not in made
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made


@pytest.mark.parametrize("form", [html_of, text_of])
def test_an_empty_time_is_said_to_be_one(form: Callable[[Report], str]) -> None:
    assert "Nothing was asked in this time." in form(empty())


@pytest.mark.parametrize("form", [html_of, text_of])
def test_a_day_that_still_lasts_is_compared_with_nothing(form: Callable[[Report], str]) -> None:
    made = form(report(made_at=datetime(2026, 11, 20, 15, 30, tzinfo=UTC)))
    assert "So far: it is 2026-11-20 15:30 UTC." in made
    assert "day before" not in made


@pytest.mark.parametrize("form", [html_of, text_of])
def test_what_is_not_kept_any_more_is_said_to_be_missing(form: Callable[[Report], str]) -> None:
    part = form(report(WEEK, details_since=FRIDAY))
    assert "known from 2026-11-20 on" in part
    gone = form(report(WEEK, details_since=FRIDAY + timedelta(days=9), workers=(), models=(), hours=(), failures=()))
    assert "are not known any more" in gone
    assert "spare" not in gone


@pytest.mark.parametrize("form", [html_of, text_of])
def test_without_prices_and_without_a_history_neither_is_mentioned(form: Callable[[Report], str]) -> None:
    made = form(report(currency=None, present={}))
    assert "EUR" not in made
    assert "Cost" not in made
    assert "43.2 %" not in made
    assert "spare" not in made


# --- CSV ---------------------------------------------------------------------------------------------------------


def rows(made: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(csv_of(made.summary).splitlines()))


def test_the_table_has_a_row_for_each_day_person_key_and_model() -> None:
    found = rows(report(WEEK))
    assert len(found) == 21
    assert tuple(found[0]) == COLUMNS
    assert list(found[0].values())[:6] == ["2026-11-16", "ada", "ada: work (hi_Ab12Cd34…)", "llama3.1:70b", "1000", "1"]
    assert (found[1]["user"], found[1]["api_key"], found[2]["user"]) == ("bob", "", "deleted account")
    assert found[0]["cost"] == "11.1"


def test_the_rows_add_up_to_the_total_and_no_row_is_one() -> None:
    made = report(WEEK, cells=report(WEEK).summary.cells[:4])
    found = rows(made)
    assert sum(int(row["requests"]) for row in found) == made.summary.total.requests
    assert sum(int(row["total_tokens"]) for row in found) == 7 * 4_567_890
    assert {row["user"] for row in found} == {"ada", "bob", "deleted account", "other"}
    assert sum(row["user"] == "other" for row in found) == 6


def test_no_cell_is_a_formula() -> None:
    for line in csv.reader(csv_of(hostile().summary).splitlines(keepends=True)):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r", "\n")) for cell in line)


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (10, 10, "as the day before"),
        (1001, 1000, "as the day before"),
        (3, 0, "none the day before"),
        (0, 4, "-100 % on the day before"),
        (15, 10, "+50 % on the day before"),
        (2000, 1, "2,000 times the day before"),
    ],
)
def test_a_change_in_words(now: int, before: int, said: str) -> None:
    assert change(now, before, than="the day before") == said


def test_figures_in_words() -> None:
    assert [short(n) for n in (0, 9999, 10_000, 999_499, 999_600, 4_567_890)] == [
        "0",
        "9,999",
        "10 k",
        "999 k",
        "1 M",
        "4.57 M",
    ]
    assert [percent(part) for part in (0, 0.0001, 0.1234, 0.9995, 1)] == [
        "0 %",
        "< 0.1 %",
        "12.3 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [money(cost) for cost in (None, 0.0, 0.00123, 1234.5)] == ["", "0.00", "0.0012", "1,234.50"]
    assert [duration(ms) for ms in (1.25, 250, 2500, 90_000, 7_200_000)] == [
        "1.2 ms",
        "250 ms",
        "2.5 s",
        "1 min 30 s",
        "2 h",
    ]
    assert label_of("x" * 100) == "x" * 47 + "…"


def test_of_many_workers_the_first_are_said_to_have_been_up() -> None:
    present = {f"{at:064x}": 0.5 for at in range(20)}
    rows = workers_of(report(workers=(), present=present))
    assert [row.present for row in rows] == [0.5] * 9 + [None]
    assert rows[-1].label == "11 others"


def test_a_table_of_many_rows_ends_in_one_for_the_others() -> None:
    made = hostile()
    text = Page(html_of(made)).text
    assert "92 others" in text
    assert sum(one.sums.requests for one in made.summary.users) == 1010
    assert isinstance(sums(), Sums)
