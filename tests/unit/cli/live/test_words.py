"""Figures in a few characters."""

from datetime import timedelta

import pytest

from hyperinfer.cli.live import words

from .samples import NOW


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (words.rate(None), "-"),
        (words.rate(0.0), "0"),
        (words.rate(0.01), "<0.1"),
        (words.rate(12.34), "12.3"),
        (words.rate(99.97), "100"),
        (words.rate(12345.6), "12,346"),
        (words.share(0.0), "0 %"),
        (words.share(0.0004), "<0.1 %"),
        (words.share(0.004), "0.4 %"),
        (words.share(1.0), "100 %"),
        (words.seconds(0.0004), "0.4 ms"),
        (words.seconds(0.0351), "35 ms"),
        (words.seconds(0.9996), "1.00 s"),
        (words.seconds(12.34), "12.3 s"),
        (words.seconds(120.0), "2 min"),
        (words.cores(1.256), "126 %"),
        (words.size(0), "0B"),
        (words.size(312 * 2**20), "312M"),
        (words.size(1000 * 2**20), "1.0G"),
        (words.size(93 * 2**30), "93G"),
        (words.count(None), "-"),
        (words.count(1234), "1,234"),
        (words.ago(NOW - timedelta(seconds=40), NOW), "40 s"),
        (words.ago(NOW - timedelta(minutes=12), NOW), "12 min"),
        (words.ago(NOW - timedelta(hours=3), NOW), "3 h"),
        (words.ago(NOW - timedelta(days=5), NOW), "5 d"),
        (words.ago(NOW + timedelta(seconds=5), NOW), "0 s"),
    ],
)
def test_a_figure_is_read_at_a_glance(told: str, text: str) -> None:
    assert told == text


def test_a_sparkline_is_as_high_as_its_largest_and_blank_where_nothing_is_known() -> None:
    assert words.sparkline([0.0, None, 5.0, 10.0], 4) == "▁ ▅█"
    assert words.sparkline([1.0, 2.0, 8.0], 2) == "▃█"
    assert words.sparkline([1.0], 3) == "  █"
    assert words.sparkline([0.0, 0.0], 2) == "▁▁"
    assert words.sparkline([1.0], 0) == ""
    assert words.sparkline([0.0, 8.0], 2, plain=True).isascii()
