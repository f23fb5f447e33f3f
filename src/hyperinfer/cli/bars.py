"""Bars of block characters: how much of something, in eighths of a column. Pure."""

EIGHTHS = " ▏▎▍▌▋▊▉"
FULL = "█"
PLAIN = "#"


def bar(part: float, whole: float, columns: int, *, plain: bool = False) -> str:
    """A bar that is `columns` long for the whole; what is not nothing is at least a sliver. `plain` takes ASCII alone."""
    if part <= 0 or whole <= 0 or columns <= 0:
        return ""
    share = min(part / whole, 1.0) * columns
    if plain:
        return PLAIN * max(1, round(share))
    eighths = max(1, round(share * 8))
    return FULL * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def gauge(part: float, whole: float, columns: int, *, plain: bool = False) -> str:
    """The same with what is left of the whole shown as dots, so that its length is always `columns`."""
    return bar(part, whole, columns, plain=plain).ljust(columns, "." if plain else "·")
