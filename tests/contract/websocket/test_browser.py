"""`/ws` of the whole product as a page in a real browser sees it: the page is another site's that an operator has named."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from hyperinfer.facilities.http import Listen, serving

from .conftest import SOCKETS, WORDS, house, memory_bytes, show

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


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """A site of its own with the page."""

    async def page(_: object) -> FileResponse:
        return FileResponse(PAGE)

    async with serving(Starlette(routes=[Route("/", page)]), Listen(port=0, drain_s=0.5)) as url:
        yield url


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        try:
            page = await browser.new_page()
            await page.goto(url)
            yield page
        finally:
            await browser.close()


async def test_two_hundred_sockets_of_three_conversations(
    site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, http__origins=(site,)) as home, browsing(site) as page:
        before, began = memory_bytes(), time.perf_counter()
        given = [home.ws, home.key, SOCKETS, WORDS]
        results = await page.evaluate("([url, key, count, words]) => sockets(url, key, count, words)", given)
        show(capsys, "browser", time.perf_counter() - began, memory_bytes() - before)
        await home.until_idle()

        await page.goto(site.replace("127.0.0.1", "localhost"))  # the same page, from an origin that nobody has named
        assert await page.evaluate("refused", home.ws) == 1006
    for result in results:
        third = "error" if result["number"] % 2 else "done"
        assert result["ends"] == {"a": "done", "b": "cancelled", "c": third}, result
        assert result["exact"], result
    assert len(results) == SOCKETS
