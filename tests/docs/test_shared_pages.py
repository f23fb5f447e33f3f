"""Pages whose commands and programs leave the swarm as it is: they share one `hyperinfer up`, each with a profile of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import page
from tests.docs.scenes import HOUSE, SCENES
from tests.docs.stage import Stage, opened, perform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Where it runs."""
    with opened("house", tmp_path_factory.mktemp("house"), HOUSE) as stage:
        yield stage


@pytest.mark.parametrize("name", sorted(name for name, scene in SCENES.items() if scene.shares))
def test_a_page_does_what_it_says(name: str, tmp_path: Path, house: Stage) -> None:
    with opened(name, tmp_path, SCENES[name], house) as stage:
        perform(stage, page(name))
