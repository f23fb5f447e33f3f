"""Pages of other sites in a real browser: which of them may use a gateway, and what they can read of its answers."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, Page, async_playwright

from hyperinfer.contracts.gateway import Head, Inferred, RateLimitInfo
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta
from hyperinfer.edge.app import create_app
from hyperinfer.errors import RateLimited
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.gateway import FakeGateway

pytestmark = [pytest.mark.needs_browser, pytest.mark.slow]

COMPLETION = b'{"id":"chatcmpl-1","choices":[{"message":{"content":"' + b"many words " * 1000 + b'"}}]}'
HEAD = Head(worker="ab" * 32, rate_limit_info=RateLimitInfo(7, 10, 12, 1))
ALONE = ["--no-sandbox", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
"""As root, and without a word to anybody but this machine."""

ASK = """async ({url, stream, more}) => {
  const headers = {
    "Authorization": "Bearer hi_key", "Content-Type": "application/json", "OpenAI-Organization": "org",
    "X-Stainless-Lang": "js", "X-Stainless-Retry-Count": "0", ...(more.headers || {}),
  };
  const body = JSON.stringify({model: "m", messages: [], stream});
  try {
    const reply = await fetch(`${url}/v1/chat/completions`, {method: "POST", headers, body, ...more.init});
    const text = await reply.text();
    return {status: reply.status, text, headers: Object.fromEntries(reply.headers)};
  } catch (error) {
    return {failed: error.name};
  }
}"""
"""A request as OpenAI's client for JavaScript makes it in a browser."""


async def answer(request: Any, meta: Meta, sink: Send | None) -> Inferred:
    if sink is not None:
        await sink([msgspec.json.encode(HEAD), b'{"a":1}'])
        await sink([b'{"b":2}'])
    if meta.request_id == "too-often":
        raise RateLimited("Enough.", retry_after_s=2, max_requests=1, remaining_requests=0, next_reset_in_seconds=2)
    done = Processed(usage=Usage(1, 1), finish_reason="stop", model="m", completion=msgspec.Raw(COMPLETION))
    return Inferred(processed=done, head=HEAD)


async def blank(scope: Any, receive: Any, send: Any) -> None:
    """Somebody else's site."""
    headers = [(b"content-type", b"text/html"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Stage:
    """A browser, somebody's site, and gateways that let pages in or do not."""

    def __init__(self, stack: AsyncExitStack, browser: Browser, site: str) -> None:
        self._stack = stack
        self._browser = browser
        self.site = site

    async def page(self) -> Page:
        page = await (await self._browser.new_context()).new_page()
        await page.goto(self.site)
        return page

    async def gateway(self, *origins: str) -> tuple[str, FakeGateway]:
        gateway = FakeGateway(processInferenceRequest=answer)
        app = create_app(gateway, HttpSettings(origins=origins), request_timeout_s=30.0, metrics=True)
        return await self._stack.enter_async_context(serving(app, Listen(port=0, drain_s=1.0))), gateway


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(serving(blank, Listen(port=0, drain_s=1.0)))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ALONE)
        stack.push_async_callback(browser.close)
        yield Stage(stack, browser, site)


async def ask(page: Page, url: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = await page.evaluate(ASK, {"url": url, "stream": stream, "more": more})
    return said


async def test_what_pages_of_other_sites_may_do(stage: Stage) -> None:
    page = await stage.page()

    url, gateway = await stage.gateway()
    assert await ask(page, url) == {"failed": "TypeError"}
    assert gateway.calls == []

    url, gateway = await stage.gateway("https://another.example")
    assert await ask(page, url) == {"failed": "TypeError"}
    assert gateway.calls == []

    for origin in (stage.site, "*"):
        url, gateway = await stage.gateway(origin)
        whole = await ask(page, url)
        assert (whole["status"], whole["text"]) == (200, COMPLETION.decode())
        assert whole["headers"]["content-encoding"] == "gzip"
        assert whole["headers"]["x-request-id"].startswith("req_")
        assert whole["headers"]["x-ratelimit-remaining-requests"] == "7"
        assert whole["headers"]["x-hyperinfer-worker"]

        streamed = await ask(page, url, stream=True)
        assert streamed["text"] == 'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'

        refused = await ask(page, url, headers={"X-Request-Id": "too-often"})
        assert (refused["status"], refused["headers"]["retry-after"]) == (429, "2")
        assert refused["headers"]["x-should-retry"] == "true"

        assert await ask(page, url, init={"credentials": "include"}) == {"failed": "TypeError"}
        assert len(gateway.calls) == 3


async def test_a_page_of_ours_needs_no_leave(stage: Stage) -> None:
    page = await stage.page()
    url, _ = await stage.gateway()
    await page.goto(f"{url}/docs")
    assert (await ask(page, url))["status"] == 200
