"""Figures in a few characters: what a person reads at a glance. Pure."""

from datetime import datetime

DASH = "-"
SPARKS = "▁▂▃▄▅▆▇█"
PLAIN_SPARKS = "_.-=+*%#"
UNITS = ("B", "K", "M", "G", "T")


def rate(value: float | None) -> str:
    """So many a second: `0`, `0.4`, `12.3`, `1,234`."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 0.05 else "<0.1"


def share(value: float | None) -> str:
    """Part of a hundred: what is not nothing is never shown as nothing."""
    if value is None:
        return DASH
    percent = 100 * value
    if percent and percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent == 0 or percent >= 9.95 else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it: `0.4 ms`, `35 ms`, `1.24 s`, `2 min`."""
    if value is None:
        return DASH
    if value < 0.0095:
        return f"{1000 * value:.1f} ms"
    if value < 0.9995:
        return f"{1000 * value:.0f} ms"
    if value < 99.5:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    return f"{value / 60:.0f} min"


def count(value: int | None) -> str:
    """How many."""
    return DASH if value is None else f"{value:,}"


def cores(value: float | None) -> str:
    """CPU, in hundredths of a core."""
    return DASH if value is None else f"{100 * value:.0f} %"


def size(value: int | None) -> str:
    """Bytes in the unit that suits them: `312M`, `1.2G`."""
    if value is None:
        return DASH
    scaled, unit = float(value), 0
    while scaled >= 999.5 and unit < len(UNITS) - 1:
        scaled, unit = scaled / 1024, unit + 1
    return f"{scaled:.1f}{UNITS[unit]}" if unit > 2 and scaled < 9.95 else f"{scaled:.0f}{UNITS[unit]}"


def ago(since: datetime | None, now: datetime) -> str:
    """How long something lasts: `40 s`, `12 min`, `3 h`, `5 d`."""
    return DASH if since is None else lasting((now - since).total_seconds())


def lasting(value: float | None) -> str:
    """A span in its largest unit."""
    if value is None:
        return DASH
    for least, unit, word in ((172_800, 86_400, "d"), (7200, 3600, "h"), (120, 60, "min")):
        if value >= least:
            return f"{value / unit:.0f} {word}"
    return f"{max(0.0, value):.0f} s"


def sparkline(values: list[float | None], columns: int, *, plain: bool = False) -> str:
    """The newest values as blocks, as high as they are beside the largest one; a blank where nothing is known."""
    shown = values[-columns:] if columns > 0 else []
    most = max((value for value in shown if value is not None), default=0.0)
    blocks = PLAIN_SPARKS if plain else SPARKS
    return "".join(" " if value is None else blocks[_height(value, most)] for value in shown).rjust(max(columns, 0))


def _height(value: float, most: float) -> int:
    return 0 if most <= 0 else min(len(SPARKS) - 1, round(value / most * (len(SPARKS) - 1)))
