"""Planted marks in calls over the swarm: none is in a log, and only what a caller has chosen itself is in an error."""

import io
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.gateway import ProcessPrompt
from hyperinfer.contracts.method import PUBLIC, Meta, Method, Wire
from hyperinfer.errors import HyperinferError
from hyperinfer.facilities import log
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MARK = "planted-mark"
PASSWORD = f"{MARK}-password"
PERSON = {"email": f"{MARK}@example.org", "password": PASSWORD}


class Anything(Wire, frozen=True):
    """Whatever a peer sends."""

    data: Any = None
    prompt: Any = None
    model: Any = None
    body: Any = None
    kind: Any = None
    email: Any = None
    password: Any = None


@pytest.fixture
def said(tmp_path: Path) -> Iterator[io.StringIO]:
    """Standard error, with all that `DEBUG=1` says."""
    level, stream = logging.getLogger().level, io.StringIO()
    log.configure(level="debug", folder=tmp_path / "logs", stream=stream)
    yield stream
    log.stop()
    logging.getLogger().setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def calls(key: str) -> Iterator[tuple[str, Anything, Meta]]:
    """Good ones and bad ones, each with a mark in it."""
    meta = Meta(key=key, request_id="chosen")
    yield "processPrompt", Anything(prompt=MARK), meta
    yield "processPrompt", Anything(prompt=MARK), Meta(key=key, request_id=f"{MARK} in words", traceparent=MARK)
    yield "processPrompt", Anything(prompt=MARK, model=MARK), meta
    yield "processPrompt", Anything(prompt=[MARK]), meta
    yield "processPrompt", Anything(prompt=MARK), Meta(key=f"hi_{MARK}")
    yield "processInferenceRequest", Anything(body={"messages": MARK, MARK: MARK}), meta
    yield "processInferenceRequest", Anything(body={"model": MARK, "messages": []}, kind=MARK), meta
    yield "processInferenceRequest", Anything(body=MARK), Meta()
    yield "register", Anything(**PERSON), Meta()
    yield "login", Anything(**PERSON), Meta()
    yield "login", Anything(email=PERSON["email"], password=[PASSWORD]), Meta()
    yield "readLogs", Anything(data=MARK), meta
    yield MARK, Anything(data=MARK), meta


async def test_no_mark_is_in_a_log(tmp_path: Path, said: io.StringIO) -> None:
    net = MemoryNet()
    parts = [
        part(AUTH, home=tmp_path),
        part(INFERENCE, home=tmp_path, echo__enabled=True, llamacpp__enabled=False),
        part(GATEWAY, home=tmp_path, http__port=0, registration__swarm="open"),
    ]
    async with swarm(parts, home=tmp_path, net=net) as workers:
        own = workers["gateway"].own
        made = await own.call(contract.REGISTER, contract.Register(email="ada@example.org", password=PASSWORD))
        assert made.success, made.message
        session = await own.call(contract.LOGIN, contract.Login(email="ada@example.org", password=PASSWORD))
        assert session.key
        reply = await own.call(contract.PROCESS_PROMPT, ProcessPrompt(prompt=MARK), meta=Meta(key=session.key))
        assert reply.response == MARK
        errors = []
        endpoint = await net.open(from_seed(os.urandom(32)))
        async with Peers(endpoint, clock=SystemClock(), settings=NetSettings()) as peers:
            for name, request, meta in calls(session.key):
                method = Method(name, Anything, Anything, PUBLIC)
                try:
                    await peers.call(workers["gateway"].public_key, method, request, meta=meta, timeout_s=10)
                except HyperinferError as error:
                    errors.append((name, error.code, error.message))
        with suppress(HyperinferError):
            await endpoint.close()
    log.flush()
    assert len(errors) > 6
    texts = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()} | {"stderr": said.getvalue()}
    assert texts["event.log"].count('"event":"call"') > 8
    assert '"request_id":"chosen"' in texts["event.log"]
    for secret in (MARK, session.key, "ada@example.org"):
        assert [name for name, text in texts.items() if secret in text] == []
    echoed = {code for _, code, message in errors if MARK in message}
    assert echoed <= {"MODEL_NOT_FOUND", "UNKNOWN_METHOD", "BAD_REQUEST"}, "a name, or a word where only some may stand"
    assert [message for _, _, message in errors if PASSWORD in message or session.key in message] == []
