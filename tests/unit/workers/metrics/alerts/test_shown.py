"""Values in the words of Prometheus' templates; those expected here are its own tests' and documentation's."""

from collections.abc import Callable

import pytest

from hyperinfer.workers.metrics.alerts import shown


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (shown.number, 150.0, "150"),
        (shown.number, 12_345.0, "12345"),
        (shown.share, 0.125, "12%"),
        (shown.share, 1 / 3, "33%"),
        (shown.share, 0.0821, "8.2%"),
        (shown.share, 1.0, "100%"),
        (shown.duration, 0.0, "0s"),
        (shown.duration, 0.1, "100ms"),
        (shown.duration, 0.000012, "12us"),
        (shown.duration, 5.1234567, "5.1s"),
        (shown.duration, 0.1234567, "123.5ms"),
        (shown.duration, 60.0, "1m 0s"),
        (shown.duration, 4000.0, "1h 6m"),
        (shown.duration, 93784.5, "1d 2h"),
        (shown.duration, -90.0, "-1m 30s"),
        (shown.duration, float("nan"), "nan"),
        (shown.span, 900.0, "15 minutes"),
        (shown.span, 60.0, "1 minute"),
        (shown.span, 2.5, "2.5 seconds"),
    ],
)
def test_values(show: Callable[[float], str], value: float, text: str) -> None:
    assert show(value) == text
