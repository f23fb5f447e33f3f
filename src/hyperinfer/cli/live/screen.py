"""The screen of the live view, line by line: a head, a body that scrolls, and a foot. Pure."""

from datetime import datetime
from textwrap import wrap

from hyperinfer.cli.live import sections, words
from hyperinfer.cli.live.text import CUT, Line, clean, fit, pad, spread, width
from hyperinfer.cli.live.totals import Totals
from hyperinfer.cli.live.watched import ORDERS, Watched

STATUS = {"ok": "good", "warning": "warn", "critical": "bad"}
CELLS_WIDE, CELLS_NARROW = 4, 2
WIDE = 76
"""Columns from where on the totals stand in two rows, with sparklines."""
LEAST_SPARK, MOST_SPARK = 6, 120
CELL_GAP = "   "
PLAIN_CUT = "."
LEAST_WRAPPED = 10

HELP = (
    ("q", "quit"),
    *((order.key, f"sort by {order.title}") for order in ORDERS),
    ("p", "pause, and go on"),
    ("↑ ↓", "scroll by a line"),
    ("PgUp PgDn", "scroll by a page"),
    ("?", "this help"),
)
EXPLAINED = (
    "Rates are means of the last minute, latencies of the last five.",
    "CPU is of one core. Workers of one process share it and its memory.",
    "Links: connections to other workers that are made, of those wanted.",
)


def draw(watched: Watched, columns: int, rows: int, now: datetime, *, plain: bool = False) -> list[Line]:
    """The whole screen, exactly `rows` lines of `columns` at most. It also holds the scrolling within its bounds."""
    head = [_title(watched, columns, now), *_totals(watched, columns, plain=plain), []]
    body = _help(columns, plain=plain) if watched.helping else _body(watched, columns, now, plain=plain)
    room = max(1, rows - len(head) - 1)
    watched.offset = max(0, min(watched.offset, len(body) - room))
    shown = body[watched.offset : watched.offset + room]
    shown += [[] for _ in range(room - len(shown))]
    below = len(body) - watched.offset - room
    lines = [*head, *shown, _foot(watched, columns, below, plain=plain)][:rows]
    return [[(style, text.replace(CUT, PLAIN_CUT)) for style, text in line] for line in lines] if plain else lines


def body_rows(watched: Watched, columns: int, rows: int) -> int:
    """How many lines of the body there is room for."""
    return max(1, rows - 2 - len(_totals(watched, columns, plain=True)) - 1)


def _title(watched: Watched, columns: int, now: datetime) -> Line:
    left: Line = [("brand", "hyperinfer"), ("", "  "), ("dim", clean(watched.gateway))]
    health = watched.shown
    if watched.trouble:
        return spread(left, [("bad", " no connection ")], columns)
    if health is None:
        return spread(left, [("dim", "waiting")], columns)
    firing = sum(alert.state == "firing" and alert.silenced_until is None for alert in health.alerts)
    told = f"{health.status}" + (f": {firing} alert{'s' if firing > 1 else ''}" if firing else "")
    right: Line = [(STATUS.get(health.status, "bad"), told), ("", "  ")]
    if watched.paused:
        right += [("warn", "paused"), ("", "  ")]
    right.append(("dim", health.at.astimezone().strftime("%H:%M:%S")))
    if width(right) > columns - len("hyperinfer") - 1:
        right = right[:-2]
    return spread(left, right, columns)


def _totals(watched: Watched, columns: int, *, plain: bool) -> list[Line]:
    if watched.totals is None:
        return []
    cells = _cells(watched.totals)
    per_row = CELLS_WIDE if columns >= WIDE else CELLS_NARROW
    rows = [cells[at : at + per_row] for at in range(0, len(cells), per_row)]
    names = [max(len(row[at][0]) for row in rows if at < len(row)) for at in range(per_row)]
    values = [max(len(row[at][1]) for row in rows if at < len(row)) for at in range(per_row)]
    taken = sum(names) + sum(values) + per_row + len(CELL_GAP) * (per_row - 1)
    spark = min(MOST_SPARK, columns - taken - 1)
    histories = (watched.requests_per_s, watched.tokens_per_s)
    lines = []
    for number, row in enumerate(rows):
        line: Line = []
        for at, (name, value, style) in enumerate(row):
            line += [("dim", pad(name, names[at])), ("", " "), (style, pad(value, values[at], right=True))]
            if at == 0 and per_row == CELLS_WIDE and spark >= LEAST_SPARK:
                drawn = words.sparkline(list(histories[number]), spark, plain=plain)
                line += [("", " "), ("spark", drawn)]
            line.append(("", CELL_GAP))
        lines.append(fit(line[:-1], columns))
    return lines


def _cells(totals: Totals) -> list[tuple[str, str, str]]:
    """Name, value and style of each, as they stand on a wide screen, row by row."""
    slots = words.DASH if totals.slots is None else f"{totals.busy or 0}/{totals.slots}"
    return [
        ("requests/s", words.rate(totals.requests_per_s), "value"),
        ("errors", words.share(totals.error_rate), "bad" if (totals.error_rate or 0) >= 0.05 else "value"),
        ("p95", words.seconds(totals.latency_p95_s), "value"),
        ("in flight", words.count(totals.in_flight), "value"),
        ("tokens/s", words.rate(totals.tokens_per_s), "value"),
        ("slots", slots, "warn" if totals.slots and (totals.busy or 0) >= totals.slots else "value"),
        ("first", words.seconds(totals.first_token_s), "value"),
        ("queued", words.count(totals.queued), "warn" if totals.queued else "value"),
    ]


def _body(watched: Watched, columns: int, now: datetime, *, plain: bool) -> list[Line]:
    health = watched.shown
    lines: list[Line] = []
    if watched.trouble:
        lines += [fit([("bad", part)], columns) for part in wrap(clean(watched.trouble), max(columns, LEAST_WRAPPED))]
        lines.append([])
    if health is None:
        return lines
    if alerts := sections.alerts(health, columns, now):
        lines += [*alerts, []]
    workers = watched.workers()
    lines += sections.workers(workers, columns, marked=watched.order.title)
    if models := sections.models(workers, columns, plain=plain):
        lines += [[], *models]
    return lines


def _help(columns: int, *, plain: bool) -> list[Line]:
    keys = (("up down", text) if plain and key == "↑ ↓" else (key, text) for key, text in HELP)
    lines: list[Line] = [[("key", pad(key, 11)), ("", text)] for key, text in keys]
    lines += [[], *([("dim", text)] for text in EXPLAINED)]
    return [fit(line, columns) for line in lines]


def _foot(watched: Watched, columns: int, below: int, *, plain: bool) -> Line:
    keys = [("q", "quit"), ("?", "help"), ("p", "go on" if watched.paused else "pause"), ("n r e l t c m", "sort")]
    if watched.helping:
        keys = [("?", "back"), ("q", "quit")]
    left: Line = []
    for key, text in keys:
        left += [("key", f" {key} "), ("dim", f"{text} ")]
    more = f"{below} more {'below' if plain else '↓'}" if below > 0 else ""
    return spread(left, [("dim", more)], columns)
