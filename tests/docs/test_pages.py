"""Every command and program of README, getting started and the guides is run, in the order of its page, as it stands: here the pages
that need a swarm of their own, and what holds for all."""

from pathlib import Path

import pytest
from tests.docs.pages import NOTES, ROOT, RUN, SHOWN, page, pages
from tests.docs.scenes import SCENES, Scene
from tests.docs.stage import opened, perform

ELSEWHERE = {
    "docs/guides/python.md": "tests/integration/sdk/test_guide.py",
    "docs/guides/javascript.md": "tests/contract/node_clients/test_guide.py",
}
"""Pages whose programs another test runs."""
SERVERS = {
    "docs/guides/databases.md": [pytest.mark.needs_postgres],
    "docs/guides/postgresql-and-redis.md": [pytest.mark.needs_postgres, pytest.mark.needs_redis],
}
REAL = {"README.md", "docs/getting-started/first-answer.md", "docs/guides/openai-clients.md", "docs/guides/models.md"}
"""Pages on which the model that comes along answers."""


def marked(name: str) -> object:
    """The page with what it needs beyond this machine's own."""
    marks = SERVERS.get(name, []) + [pytest.mark.needs_model] * (name in REAL)
    return pytest.param(name, marks=marks)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name", [marked(name) for name in pages() if name not in ELSEWHERE and not SCENES.get(name, Scene()).shares]
)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, SCENES.get(name, Scene())) as stage:
        perform(stage, page(name))


@pytest.mark.parametrize("name", pages())
def test_every_block_is_run_or_says_why_not(name: str) -> None:
    for block in page(name):
        where = f"{name}:{block.line}"
        assert block.language in RUN | SHOWN, f"{where}: {block.language or 'no language'} is neither run nor read"
        assert not block.note or block.note in NOTES, f"{where}: nobody knows what `{block.note}` is"
        assert block.note != "not run" or len(block.said.split()) > 2, f"{where}: why not?"


def test_every_scene_has_its_page() -> None:
    assert set(SCENES) <= set(pages())
    assert all(Path(name).name in (ROOT / test).read_text(encoding="utf-8") for name, test in ELSEWHERE.items())
