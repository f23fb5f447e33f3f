"""The table of clients says what the tests' marks say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_table_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "clients_reference.py"))
    page = (ROOT / "docs" / "reference" / "clients.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run scripts/clients_reference.py"


def test_every_client_chats_with_the_real_model_or_the_table_says_that_it_does_not() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "clients_reference.py"))
    seen = {(one.client, one.feature) for one in script["seen"]()}
    assert {(client, f"a chat, {how}") for client in script["CLIENTS"] for how in ("whole", "streamed")} <= seen
