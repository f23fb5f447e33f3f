"""The programs of `javascript.md` run as they stand, over HTTP and over the swarm, as one program from top to bottom."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import page

from .conftest import Place, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

GUIDE = "docs/guides/javascript.md"
IMPORT = re.compile(r"^import .*\n", re.MULTILINE)


@pytest.mark.parametrize("way", ["http", "swarm"])
async def test_its_programs_run(node: Run, app: Path, place: Place, way: str) -> None:
    programs = [block.text for block in page(GUIDE) if block.language == "js" and block.note != "not run"]
    assert len(programs) > 6
    whole = "\n".join(f"{{\n{text}}}" if "const leaving" in text else text for text in programs)
    imports = "".join(sorted(set(IMPORT.findall(whole))))
    net = f"bootstrap: ['{place.bootstrap}'], dht: {{ host: '127.0.0.1', firewalled: false }}"
    given = {"'hi_…'": f"'{place.product.key}'", "'http://127.0.0.1:3000'": f"'{place.ways[way]}', {net}"}
    text = imports + IMPORT.sub("", whole)
    for shown, real in given.items():
        assert text.count(shown) == 1
        text = text.replace(shown, real)
    (app / "guide.mjs").write_text(text, encoding="utf-8")
    said = await node("guide.mjs")
    assert said.startswith("What is 2 + 2? ")  # the model of the tests repeats what it is told
    assert "What is my name?" in said
    assert "404 model_not_found req_" in said
    assert "'echo'" in said
    assert "stop 6" in said
