"""Reading what workers show, and showing all of it as one."""

import pytest

from hyperinfer.errors import TooLarge
from hyperinfer.workers.metrics.collecting.exposition import merged, read

GATEWAY = """\
# HELP n_total Things \\n counted.
# TYPE n_total counter
n_total{status="ok"} 3.0
n_total{status="a \\"b\\" {c} n_total"} 1.0
# HELP up Whether.
# TYPE up gauge
up 1.0
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="1.0"} 1.0
took_seconds_bucket{le="+Inf"} 2.0
took_seconds_count 2.0
took_seconds_sum 3.5
"""
INFERENCE = """\
# HELP up Another text.
# TYPE up gauge
up 0.0
# TYPE n_total gauge
n_total 7
"""


def test_many_are_shown_as_one() -> None:
    shown = [
        ({"worker": "g", "wtype": "gateway"}, read(GATEWAY, {}, max_samples=10)),
        ({"worker": 'i"1', "wtype": "inference"}, read(INFERENCE, {}, max_samples=10)),
    ]
    assert (
        merged(shown)
        == """\
n_total{worker="g",wtype="gateway",status="ok"} 3.0
n_total{worker="g",wtype="gateway",status="a \\"b\\" {c} n_total"} 1.0
n_total{worker="i\\"1",wtype="inference"} 7
# HELP up Whether.
# TYPE up gauge
up{worker="g",wtype="gateway"} 1.0
up{worker="i\\"1",wtype="inference"} 0.0
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{worker="g",wtype="gateway",le="1.0"} 1.0
took_seconds_bucket{worker="g",wtype="gateway",le="+Inf"} 2.0
took_seconds_count{worker="g",wtype="gateway"} 2.0
took_seconds_sum{worker="g",wtype="gateway"} 3.5
"""
    ), "one help and one type for each; where they do not agree on the type, none"


def test_nobody_has_the_samples_of_others_refused() -> None:
    """Nor would Prometheus' other parser have them, which takes a second type of a name for a mistake of the whole text."""
    honest = read(GATEWAY, {}, max_samples=10)
    broken = read("# TYPE n_total gauge\n# TYPE took_seconds_bucket gauge\ntook_seconds_bucket 1\n", {}, max_samples=10)
    text = merged([({"worker": "a"}, broken), ({"worker": "g"}, honest)])
    assert "# TYPE n_total counter" in text, "who shows none of it has no say"
    assert "TYPE took_seconds" not in text
    assert 'took_seconds_bucket{worker="a"} 1' in text
    assert 'took_seconds_bucket{worker="g",le="1.0"} 1.0' in text
    assert 'took_seconds_sum{worker="g"} 3.5' in text


@pytest.mark.parametrize(
    "line",
    [
        "n",
        "n{",
        'n{a="} 1',
        "n{a=b} 1",
        'n{a="1",a="2"} 1',
        "n 1_000",
        "n one",
        "1n 1",
        "n  1",
        "n 1 1700000000",
        'n{a="1"}1',
        'n{__name__="up"} 1',
        r'n{a="\x"} 1',
        "n 1e999",
        "n " + "9" * 400,
        f'n{{a="{"x" * 5000}"}} 1',
    ],
)
def test_what_makes_no_sense_is_left_out_and_counted(line: str) -> None:
    shown = read(f"before 1\n{line}\nafter 2\n", {}, max_samples=10)
    assert shown.values == {"before": 1.0, "after": 2.0}
    assert shown.malformed == 1


def test_a_series_is_shown_once() -> None:
    shown = read("n 1\nn 2\n", {}, max_samples=10)
    assert shown.values == {"n": 1.0}
    assert shown.malformed == 1


def test_labels_of_our_names_are_renamed() -> None:
    shown = read('n{worker="x",a=",worker="} 1\nn{a="y"} 2\n', {}, max_samples=10)
    assert merged([({"worker": "w", "wtype": "t"}, shown)]) == (
        '# TYPE n untyped\nn{worker="w",wtype="t",exported_worker="x",a=",worker="} 1\nn{worker="w",wtype="t",a="y"} 2\n'
    )


def test_too_many_samples() -> None:
    with pytest.raises(TooLarge, match="more than 2 samples"):
        read("a 1\nb 1\nc 1\n", {}, max_samples=2)


@pytest.mark.parametrize("line", ["x", "# TYPE a gauge", ""])
def test_lines_that_say_nothing_are_bounded_too(line: str) -> None:
    with pytest.raises(TooLarge, match="more than 2 samples"):
        read(f"{line}\n" * 7, {}, max_samples=2)


def test_what_is_known_is_not_new() -> None:
    first = read("a 1\nb 1\n", {}, max_samples=10)
    known = {series.key: series for series in first.new}
    assert [series.key for series in read("a 2\nc 1\n", known, max_samples=10).new] == ["c"]
