"""Webhooks: what is posted, how it is signed, and what is made of each answer."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.unit.workers.metrics.alerts.samples import LOST, OVER, QUEUE, SINCE, notice, over

from hyperinfer.errors import ConfigError, HyperinferError, RemoteError, Unavailable
from hyperinfer.testing.certificates import Authority
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.servers.webhook import WebhookReceiver
from hyperinfer.workers.metrics.alerts.config import WebhookSettings
from hyperinfer.workers.metrics.alerts.notifying.webhook import MAX_ALERTS, Webhook

AT = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.running() as receiver:
        yield receiver


def webhook(session: aiohttp.ClientSession, url: str, timeout_s: float = 5.0, **given: Any) -> Webhook:
    settings = WebhookSettings(url=url, **given)
    return Webhook(settings, session=session, clock=ManualClock(AT), timeout_s=timeout_s)


async def test_what_is_posted(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    await webhook(session, receiver.url, name="pager").tell(notice(LOST, resolved=(over(QUEUE),)))
    [post] = receiver.posts
    assert post.headers["content-type"] == "application/json"
    assert "x-hyperinfer-signature" not in post.headers
    assert post.told == {
        "version": "4",
        "groupKey": "n1",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "pager",
        "groupLabels": {},
        "commonLabels": {"worker": "gpu"},
        "commonAnnotations": {"description": "Look at its machine."},
        "externalURL": "",
        "alerts": [
            {
                "status": "firing",
                "labels": {
                    "alertname": "HyperinferWorkerLost",
                    "severity": "critical",
                    "worker": "gpu",
                    "wtype": "inference",
                },
                "annotations": {"summary": LOST.summary, "description": LOST.do},
                "startsAt": SINCE,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "a1",
            },
            {
                "status": "resolved",
                "labels": {"alertname": "HyperinferQueue", "severity": "warning", "worker": "gpu"},
                "annotations": {"summary": QUEUE.summary, "description": QUEUE.do},
                "startsAt": SINCE,
                "endsAt": OVER,
                "generatorURL": "",
                "fingerprint": "b2",
            },
        ],
    }


async def test_a_post_of_ends_alone_is_resolved(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    await webhook(session, receiver.url).tell(notice(resolved=(over(LOST),)))
    assert receiver.posts[0].told["status"] == "resolved"


async def test_very_many_alerts_are_cut_and_counted(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    await webhook(session, receiver.url).tell(notice(*[LOST] * (MAX_ALERTS + 7)))
    assert len(receiver.posts[0].alerts) == MAX_ALERTS
    assert receiver.posts[0].told["truncatedAlerts"] == 7


@pytest.mark.parametrize("from_file", [False, True])
async def test_the_signature(
    session: aiohttp.ClientSession, receiver: WebhookReceiver, tmp_path: Path, from_file: bool
) -> None:
    (tmp_path / "secret").write_text("open sesame\n")
    given: dict[str, Any] = {"secret_file": str(tmp_path / "secret")} if from_file else {"secret": "open sesame"}
    await webhook(session, receiver.url, **given).tell(notice(LOST))
    [post] = receiver.posts
    told = dict(part.split("=") for part in post.headers["x-hyperinfer-signature"].split(","))
    assert int(told["t"]) == AT.timestamp()
    signed = f"{told['t']}.".encode() + post.body
    assert told["v1"] == hmac.new(b"open sesame", signed, hashlib.sha256).hexdigest()


async def refusal(hook: Webhook) -> HyperinferError:
    with pytest.raises(HyperinferError) as caught:
        async with asyncio.timeout(5):
            await hook.tell(notice(LOST))
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RemoteError),
        (400, RemoteError),
        (404, RemoteError),
        (408, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_what_may_be_tried_again(
    session: aiohttp.ClientSession, receiver: WebhookReceiver, status: int, kind: type[HyperinferError]
) -> None:
    receiver.answers = [status]
    error = await refusal(webhook(session, receiver.url))
    assert type(error) is kind
    assert str(status) in error.message


async def test_it_follows_no_redirect(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"location": "/elsewhere"})

    receiver.answers = [redirect]
    await refusal(webhook(session, receiver.url))
    assert len(receiver.posts) == 1


async def test_it_waits_as_it_is_told(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"retry-after": "40"})

    receiver.answers = [busy]
    assert (await refusal(webhook(session, receiver.url))).details == {"retry_after_s": 40.0}


async def test_one_that_hangs(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    receiver.answering.clear()
    error = await refusal(webhook(session, receiver.url, timeout_s=0.2))
    assert isinstance(error, Unavailable)
    assert "within 0.2 s" in error.message


async def test_one_that_breaks_off(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.answers = [hang_up]
    assert isinstance(await refusal(webhook(session, receiver.url)), Unavailable)


async def test_one_that_is_not_there(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async with WebhookReceiver.running() as gone:
        pass
    assert isinstance(await refusal(webhook(session, gone.url)), Unavailable)


async def test_an_answer_without_end_is_not_read(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionError:
            return response

    receiver.answers = [pour]
    async with asyncio.timeout(5):
        await webhook(session, receiver.url).tell(notice(LOST))


async def test_who_certifies_it_can_be_named(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("127.0.0.1"))
    async with WebhookReceiver.running(context) as receiver:
        error = await refusal(webhook(session, receiver.url))
        assert isinstance(error, RemoteError)
        assert "not to be trusted" in error.message
        await webhook(session, receiver.url, authority=str(authority.file)).tell(notice(LOST))
        assert len(receiver.posts) == 1


async def test_errors_never_name_the_address(session: aiohttp.ClientSession, receiver: WebhookReceiver) -> None:
    receiver.answers = [500]
    hook = webhook(session, f"{receiver.url}/secret-token")
    assert "secret-token" not in (await refusal(hook)).message


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://a.test/token"},
        {"url": "https://"},
        {"url": "a.test/token"},
        {"url": f"http://{'a' * 64}.test/token"},
        {"url": "http://a.test:x/token"},
        {"url": "http://a.test", "secret_file": "/nowhere"},
        {"url": "http://a.test", "authority": "/nowhere"},
    ],
)
async def test_settings_that_cannot_be_meant(session: aiohttp.ClientSession, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        webhook(session, **wrong)
    assert "token" not in caught.value.message
