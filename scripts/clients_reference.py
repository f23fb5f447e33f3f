"""Writes docs/reference/clients.md from what tests say that they have seen of each client; a test holds the two together.

A Python test says it with `@pytest.mark.seen(client, *features)`, a JavaScript one with a line `// seen: CLIENT: feature; feature` above it.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "clients.md"
TESTS = ROOT / "tests" / "contract"

HEAD = """# Clients

<!-- Written by scripts/clients_reference.py from the marks of the tests; change those, then run it again. -->

What clients that others publish were seen to do, unmodified, against a running swarm. Every dot is a test that runs with each change: ● with the real model that comes along, ○ with one
that repeats what it is told, which can show what so small a model cannot. Nothing is claimed of an empty cell: most often the client has no such thing.

How to set each of them up: [OpenAI](../guides/openai-clients.md), [Anthropic](../guides/anthropic-clients.md), [Ollama](../guides/ollama-clients.md), [LangChain, `llm`, curl](../guides/langchain-llm-curl.md).
"""
CLIENTS = {
    "openai (Python)": ("dev.txt", "openai"),
    "openai (Node)": ("package.json", "openai"),
    "anthropic (Python)": ("dev.txt", "anthropic"),
    "anthropic (Node)": ("package.json", "@anthropic-ai/sdk"),
    "ollama (Python)": ("dev.txt", "ollama"),
    "ollama (Node)": ("package.json", "ollama"),
    "langchain-openai": ("dev.txt", "langchain-openai"),
    "llm": ("dev.txt", "llm"),
}
"""Each client, and where its version stands under which name."""
FEATURES = (
    "a chat, whole",
    "a chat, streamed",
    "usage",
    "a system prompt",
    "a conversation",
    "tools",
    "an answer of a class",
    "stop texts",
    "several answers",
    "likelihoods",
    "thoughts",
    "images",
    "responses",
    "completions",
    "embeddings",
    "models",
    "tokens counted",
    "several at once",
    "leaving frees the slot",
    "errors as its exceptions",
    "it comes again by itself",
    "an alias of its own",
)
SAID = re.compile(r"^// seen: (?P<client>[^:\n]+): (?P<features>[^\n]+)\ntest\('(?P<test>[^']+)'", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """That a test has seen a feature of a client, and whether with the real model."""

    client: str
    feature: str
    is_real: bool
    test: str


def page() -> str:
    """The page. Raises `ValueError` for a mark that names no client or feature of the table."""
    found = list(seen())
    for one in found:
        if one.client not in CLIENTS or one.feature not in FEATURES:
            raise ValueError(f"{one.test}: {one.client!r}, {one.feature!r} has no place in the table")
    return "".join((HEAD, *_table(found), *_where(found)))


def seen() -> Iterator[Seen]:
    """What all tests say."""
    for path in sorted(TESTS.rglob("test_*.py")):
        yield from _python(path)
    for path in sorted(TESTS.rglob("*.test.mjs")):
        if "node_modules" not in path.parts:
            yield from _javascript(path)


def _python(path: Path) -> Iterator[Seen]:
    text = path.read_text(encoding="utf-8")
    is_real = "needs_model" in text
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.seen":
                client, *features = (ast.literal_eval(one) for one in mark.args)
                for feature in features:
                    # What the product with stand-ins is asked for is not the engine's, in whichever file.
                    at_engine = is_real and "product" not in {one.arg for one in node.args.args}
                    yield Seen(client, feature, at_engine, f"{path.relative_to(ROOT)}::{node.name}")


def _javascript(path: Path) -> Iterator[Seen]:
    for found in SAID.finditer(path.read_text(encoding="utf-8")):
        for feature in found["features"].split("; "):
            yield Seen(
                found["client"], feature, path.name.startswith("engine"), f"{path.relative_to(ROOT)}: {found['test']}"
            )


def _table(found: list[Seen]) -> Iterator[str]:
    yield f"\n| | {' | '.join(CLIENTS)} |\n|---|{':-:|' * len(CLIENTS)}\n"
    yield f"| version | {' | '.join(_version(*place) for place in CLIENTS.values())} |\n"
    for feature in FEATURES:
        cells = []
        for client in CLIENTS:
            real = {one.is_real for one in found if (one.client, one.feature) == (client, feature)}
            cells.append("●" if True in real else "○" if real else "")
        yield f"| {feature} | {' | '.join(cells)} |\n"


def _where(found: list[Seen]) -> Iterator[str]:
    yield "\n## The tests\n\n| client | test | has seen |\n|---|---|---|\n"
    for client in CLIENTS:
        tests = dict.fromkeys(one.test for one in found if one.client == client)
        for test in tests:
            features = "; ".join(one.feature for one in found if one.test == test and one.client == client)
            yield f"| {client} | `{test.removeprefix('tests/contract/')}` | {features} |\n"


def _version(file: str, name: str) -> str:
    """Of the lock file, or of the package file of the Node clients."""
    if file == "package.json":
        text = (TESTS / "node_clients" / file).read_text(encoding="utf-8")
        return str(json.loads(text)["dependencies"][name])
    locked = re.search(
        rf"^{re.escape(name)}==(\S+)", (ROOT / "requirements" / file).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert locked is not None
    return locked[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
