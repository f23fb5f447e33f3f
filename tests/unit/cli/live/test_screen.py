"""The live view's screen: what stands where, at every size, in every mood."""

import pytest
from msgspec.structs import replace

from hyperinfer.cli.live.screen import draw
from hyperinfer.cli.live.text import plain, width
from hyperinfer.cli.live.watched import ORDERS, Watched
from hyperinfer.sdk import History, ModelFigures, Series, SystemHealth, WorkerHealth

from .samples import HEALTH, NOW, SMALL, worker


def watched(health: SystemHealth = HEALTH) -> Watched:
    seen = Watched("http://127.0.0.1:3000")
    seen.take(health)
    return seen


def screen(seen: Watched, columns: int = 80, rows: int = 24, *, ascii_only: bool = False) -> list[str]:
    return [plain(line) for line in draw(seen, columns, rows, NOW, plain=ascii_only)]


def test_on_eighty_columns_all_that_matters_is_there() -> None:
    text = "\n".join(screen(watched(), 80, 30))
    head, requests, tokens, blank, *body = text.splitlines()
    assert head.startswith("hyperinfer  http://127.0.0.1:3000")
    assert "critical: 1 alert" in head
    assert requests.split()[:2] == ["requests/s", "12.3"]
    assert requests.endswith("errors 0.4 %   p95   2.40 s   in flight 5")
    assert tokens.endswith("slots   5/12   first 310 ms   queued    2")
    assert blank == ""
    assert body[0].startswith("critical disk is so.")
    assert body[1] == "  Mend disk."
    assert body[2].startswith("pending queue is so.")
    assert body[3].startswith("silenced cpu is so.")
    assert "worker_lost" not in text
    assert "WORKER" in body[5]
    assert "  Its disk is full." in body
    assert any(line.startswith("smollm2") and "████████ 4/4" in line for line in body)


@pytest.mark.parametrize("columns", [1, 8, 20, 40, 60, 75, 76, 80, 120, 250])
@pytest.mark.parametrize("rows", [1, 3, 15, 24, 60])
@pytest.mark.parametrize("helping", [False, True])
def test_it_is_exactly_as_large_as_the_terminal(columns: int, rows: int, helping: bool) -> None:
    seen = watched()
    seen.helping = helping
    lines = draw(seen, columns, rows, NOW)
    assert len(lines) == rows
    assert max(map(width, lines)) <= columns


def test_on_forty_columns_it_can_be_read() -> None:
    lines = screen(watched(), 40, 15)
    assert "critical: 1 alert" in lines[0]
    assert [line.split()[0] for line in lines[1:5]] == ["requests/s", "p95", "tokens/s", "first"]
    [titles] = [line for line in lines if line.startswith("WORKER")]
    assert titles.split() == ["WORKER", "STATE", "REQ/S", "ERRORS"]
    assert lines[-1].endswith("↓")


def test_what_is_below_can_be_scrolled_to_and_no_further() -> None:
    seen = watched()
    above = screen(seen, 80, 12)
    seen.offset = 10**6
    below = screen(seen, 80, 12)
    assert above[:4] == below[:4]
    assert "nomic-embed-text" in "\n".join(below)
    assert below[-2].strip()
    assert not below[-1].endswith("↓")
    seen.offset = -(10**6)
    assert screen(seen, 80, 12) == above


def test_workers_of_one_process_show_once_what_it_takes() -> None:
    lines = screen(watched(), 150, 40)
    cpu = {line.split()[0]: line for line in lines if line.startswith(("auth ", "gateway ", "inference ", "gpu"))}
    assert "31 %" in cpu["auth"]
    assert "312M" in cpu["auth"]
    assert '"' in cpu["gateway"]
    assert "31 %" not in cpu["gateway"]
    assert "9.3G" in cpu["gpu-box-in-the-basement"]


def test_links_that_are_not_made_are_seen() -> None:
    [line] = [line for line in screen(watched(), 120, 40) if line.startswith("gpu-box")]
    assert " 1/2 " in line


def names(seen: Watched) -> list[str]:
    return [one.name for one in seen.workers()]


@pytest.mark.parametrize(
    ("key", "first"),
    [("n", "auth"), ("r", "gateway"), ("e", "gpu-box-in-the-basement"), ("c", "gpu-box-in-the-basement")],
)
def test_workers_are_sorted_as_wanted(key: str, first: str) -> None:
    seen = watched()
    seen.sort(key)
    assert names(seen)[0] == first
    marked = [text.strip() for line in draw(seen, 120, 40, NOW) for style, text in line if style == "sorted"]
    assert marked == [seen.order.title.upper()]


def test_those_without_a_figure_come_last() -> None:
    seen = watched(replace(HEALTH, workers=(worker("a", "client"), worker("b", "gateway", latency_s=0.0))))
    seen.sort("l")
    assert names(seen) == ["b", "a"]


def test_each_order_has_a_key_and_a_column() -> None:
    assert len({order.key for order in ORDERS}) == len(ORDERS)
    titles = "\n".join(screen(watched(), 250, 40))
    assert all(order.title.upper() in titles for order in ORDERS)


def test_paused_nothing_newer_is_shown_until_it_goes_on() -> None:
    seen = watched()
    seen.pause()
    seen.take(replace(HEALTH, status="ok", alerts=()))
    assert "critical" in screen(seen)[0]
    assert "paused" in screen(seen)[0]
    seen.pause()
    assert "ok" in screen(seen)[0]
    assert seen.totals is not None


def test_a_lost_connection_is_said_and_what_was_seen_stays() -> None:
    seen = watched()
    seen.lost("No gateway answers at http://127.0.0.1:3000. Trying again.")
    text = "\n".join(screen(seen))
    assert "no connection" in text
    assert "Trying again." in text
    assert "gateway" in text
    seen.take(HEALTH)
    assert "no connection" not in "\n".join(screen(seen))


def test_before_anything_has_come_it_waits() -> None:
    assert "waiting" in screen(Watched("hyper://x"))[0]


def test_a_swarm_that_is_well_and_idle() -> None:
    text = "\n".join(screen(watched(SystemHealth(status="ok", at=NOW, workers=(worker("gateway", "gateway"),)))))
    assert " ok " in text.splitlines()[0]
    assert "MODEL" not in text


def test_the_totals_leave_out_those_that_do_not_answer() -> None:
    gone = replace(HEALTH.workers[1], name="g2", key="g2", state="lost")
    seen = watched(replace(HEALTH, workers=(*HEALTH.workers, gone)))
    assert seen.totals is not None
    assert seen.totals.requests_per_s == 12.3


def test_the_error_rate_is_that_of_all_requests() -> None:
    gateways = (
        worker("a", "gateway", requests_per_s=9.0, error_rate=0.0),
        worker("b", "gateway", requests_per_s=1.0, error_rate=1.0),
    )
    seen = watched(replace(HEALTH, workers=gateways))
    assert seen.totals is not None
    assert seen.totals.error_rate == pytest.approx(0.1)


def test_the_minutes_before_are_remembered_of_gateways_alone() -> None:
    seen = Watched("g")
    series = (
        Series(figure="requests_per_s", worker="gateway", values=(1.0, None)),
        Series(figure="requests_per_s", worker="g2", values=(2.0, None)),
        Series(figure="requests_per_s", worker="auth", values=(50.0, 50.0)),
        Series(figure="tokens_per_s", worker="gateway", values=(7.0, 8.0)),
    )
    seen.remember(History(start=0.0, step_s=10, series=series), frozenset({"gateway", "g2"}))
    assert list(seen.requests_per_s) == [3.0, None]
    assert list(seen.tokens_per_s) == [7.0, 8.0]
    seen.remember(None, frozenset())
    for _ in range(1000):
        seen.take(HEALTH)
    assert len(seen.requests_per_s) <= 240


def hostile(name: str) -> WorkerHealth:
    return worker(name, "inference", models=(replace(SMALL, name="m\x1b[2Jx\nfake"),), reasons=("r\x07\r\n\x1b]0;t",))


@pytest.mark.parametrize("name", ["evil\x1b[31m", "two\nlines", "模型机器" * 20, "e\u0301" * 50])
def test_what_others_have_named_acts_on_no_terminal(name: str) -> None:
    seen = watched(replace(HEALTH, workers=(hostile(name),)))
    for columns in (20, 40, 80):
        lines = draw(seen, columns, 24, NOW)
        assert max(map(width, lines)) <= columns
        assert all(char.isprintable() for line in lines for _, text in line for char in text)


def test_where_only_ascii_is_shown_nothing_else_is_drawn() -> None:
    seen = watched()
    for _ in range(5):
        seen.take(HEALTH)
    for seen.helping in (False, True):
        drawn = "".join(screen(seen, 120, 40, ascii_only=True))
        assert drawn.isascii(), [char for char in drawn if not char.isascii()]


@pytest.mark.parametrize("field", ["name", "wtype", "state", "version", "process", "model", "model_state"])
def test_nothing_that_a_worker_says_acts_on_the_terminal(field: str) -> None:
    evil = "\x1b[2J\x07\u202e"
    model = ModelFigures(name=evil if field == "model" else "m", state=evil if field == "model_state" else "ready")
    said = {field: evil} if not field.startswith("model") else {}
    one = replace(worker("gpu", "inference"), models=(model,), reasons=(evil,), **said)
    shown = screen(watched(replace(HEALTH, workers=(one,))), 200, 60)
    assert not [line for line in shown if not line.isprintable()]
