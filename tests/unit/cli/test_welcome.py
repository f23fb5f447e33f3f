"""What `up` prints, and how it waits."""

import asyncio
import json
import shlex
from collections.abc import Sequence

import pytest

from hyperinfer.cli.readiness import until_ready
from hyperinfer.cli.welcome import Welcome, curl
from hyperinfer.kernel.compose import Running
from hyperinfer.testing.gateway import FakeGateway

KEY = "hi_0123abcd_" + "k" * 49


def test_the_line_is_one_command_that_a_shell_understands() -> None:
    words = shlex.split("\n".join(curl("http://127.0.0.1:3000", KEY, "it's a model")))
    assert words[:2] == ["curl", "http://127.0.0.1:3000/v1/chat/completions"]
    assert f"X-API-Key:{KEY}" in words
    assert json.loads(words[-1])["model"] == "it's a model"


def test_it_fits_a_narrow_terminal() -> None:
    welcome = Welcome("http://127.0.0.1:30000", KEY, "smollm2-135m", "online", admin="admin", password="p" * 20)
    assert [line for line in welcome.lines() if len(line) > 80 and "-d '" not in line] == []


def test_the_password_is_shown_only_when_it_is_new() -> None:
    later = "\n".join(Welcome("http://127.0.0.1:3000", KEY, "m", "online", admin="admin").lines())
    assert "password" not in later
    assert KEY in later


def test_the_link_is_shown_where_others_can_reach_the_swarm() -> None:
    assert "link     hyper://swarm/a/b" in Welcome("http://h:1", KEY, "m", "online", "hyper://swarm/a/b").lines()
    assert not any(line.startswith("link") for line in Welcome("http://h:1", KEY, "m", "off").lines())


def worker(reasons: list[list[str]]) -> Running:
    """A worker that gives these reasons, one set each time it is asked, and then none."""

    def not_ready() -> Sequence[str]:
        return reasons.pop(0) if reasons else []

    return Running("auth", "auth", b"", {}, FakeGateway(), not_ready)


async def test_each_reason_to_wait_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    loading = worker([["Loading."], ["Loading."], ["Warming."]])
    assert await until_ready([loading, worker([["Nobody."]])], asyncio.Event())
    assert capsys.readouterr().err.splitlines() == ["Loading.", "Warming."]


async def test_waiting_ends_when_told_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    assert not await until_ready([worker([["Loading."]] * 1000)], stop)
