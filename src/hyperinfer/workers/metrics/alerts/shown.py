"""Values as people read them, in the very words of Prometheus' templates, so that its alerts and ours say the same: two digits of a
share, one behind the point of a time, and of a long time its two largest parts.

Source: `humanizePercentage` and `humanizeDuration` of Prometheus' template/template.go.
"""

import re
from collections.abc import Callable
from math import isfinite

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
SHARE = ".2g"
SHORTER = (("([.][0-9])[0-9]+", "1"), ("(d [0-9]+h|h [0-9]+m) .*", "1"))
"""What is left of a time as Prometheus writes it: the group of that number, of patterns that Go and Python read alike."""


def number(value: float) -> str:
    """A count."""
    return f"{value:.0f}"


def share(value: float) -> str:
    """A share of one in percent."""
    return f"{float(format(value, SHARE)) * 100:.4g}%"


def duration(value: float) -> str:
    """A time: `3d 2h`, `1m 5s`, `9.8s`."""
    text = _humanized(value)
    for pattern, group in SHORTER:
        text = re.sub(pattern, rf"\{group}", text)
    return text


def _humanized(value: float) -> str:
    if not isfinite(value) or value == 0:
        return f"{value:.4g}" + ("s" if value == 0 else "")
    if abs(value) < 1:
        return _fraction(value)
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole = int(value)
    days, hours, minutes, seconds = whole // DAY, whole // HOUR % 24, whole // MINUTE % 60, whole % MINUTE
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{value:.4g}s"


def span(seconds: float) -> str:
    """A time back: `5 minutes`, `90 seconds`."""
    number, unit = (seconds / MINUTE, "minute") if seconds and seconds % MINUTE == 0 else (seconds, "second")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _fraction(value: float) -> str:
    at = -1
    while abs(value) < 1 and at < len(SMALL) - 1:
        value *= 1000
        at += 1
    return f"{value:.4g}{SMALL[at]}s"


TEMPLATES: dict[Callable[[float], str], str] = {
    number: '{{ $value | printf "%.0f" }}',
    share: f'{{{{ $value | printf "%{SHARE}" | humanizePercentage }}}}',
    duration: " | ".join(
        (
            "{{ $value | humanizeDuration",
            *(f'reReplaceAll "{pattern}" "${{{group}}}"' for pattern, group in SHORTER),
        )
    )
    + " }}",
}
"""The same in Prometheus' templates."""
