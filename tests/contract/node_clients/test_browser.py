"""The JavaScript client in a page of a real browser: its sources as they are, from an origin that the operator has named."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from tests.contract.node_clients.packages import OURS

from hyperinfer.facilities.http import Listen, serving
from hyperinfer.testing.eventually import eventually

from .conftest import platform_at

pytestmark = [pytest.mark.slow, pytest.mark.needs_browser]

PAGE = Path(__file__).parent / "page.html"
QUIET = [
    "--no-sandbox",
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


async def page_file(_: object) -> FileResponse:
    return FileResponse(PAGE)


SITE = Starlette(routes=[Route("/", page_file), Mount("/client", StaticFiles(directory=OURS / "src"))])


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        try:
            page = await browser.new_page()
            await page.goto(url)
            await page.wait_for_function("window.isReady")
            yield page
        finally:
            await browser.close()


async def test_a_page_asks(tmp_path: Path) -> None:
    async with (
        serving(SITE, Listen(port=0, drain_s=0.5)) as site,
        platform_at(tmp_path, site) as place,
        browsing(site) as page,
    ):
        product = place.product
        limited = await product.person("page", requests_per_minute=1)
        got = await page.evaluate(
            "([url, key, limited]) => ask(url, key, limited)", [product.url, product.key, limited]
        )
        refused = got.pop("refused")
        assert got.pop("requestId").startswith("req_")
        assert len(got.pop("worker")) == 12
        assert "".join(got.pop("pieces")) == "one two three"
        assert got == {
            "response": "one two",
            "usage": {"promptTokens": 3, "completionTokens": 3, "totalTokens": 6},
            "dimensions": 4,
            "models": 5,
            "left": "AbortError",
        }
        assert 0 < refused.pop("retryAfter") <= 60
        assert refused.pop("requestId").startswith("req_")
        assert refused == {"isOurs": True, "status": 429, "code": "rate_limit_exceeded"}
        await product.until_busy("slow", 0, timeout_s=2)

        assert "browser cannot reach the swarm" in await page.evaluate("link()")

        await page.goto(site.replace("127.0.0.1", "localhost"))  # an origin that nobody has named

        async def ready() -> bool:
            return bool(await page.evaluate("window.isReady"))

        await eventually(ready)
        assert await page.evaluate("failed", product.url) == {"code": "connection_failed", "status": None}
