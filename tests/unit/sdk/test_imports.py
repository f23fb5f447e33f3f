"""What is loaded when: whoever only imports the package, or only makes a client, does not wait for what it may never use."""

import subprocess
import sys

import pytest

LINK = f"hyper://{'ab' * 32}"
SERVERS = {"starlette", "uvicorn", "httptools", "sqlalchemy", "alembic", "argon2", "cryptography", "xllamacpp", "redis"}
TERMINALS = {"click", "rich", "prompt_toolkit"}
CLIENTS = {"aiohttp", "websockets", "huggingface_hub", "filelock"}


@pytest.mark.parametrize(
    ("code", "never"),
    [
        ("import hyperinfer", {"msgspec", "asyncio"}),
        ("from hyperinfer import Client", set()),
        ("from hyperinfer import AsyncClient; AsyncClient", set()),
    ],
)
def test_importing_loads_nothing_heavy(code: str, never: set[str]) -> None:
    assert not loaded(code) & (SERVERS | TERMINALS | CLIENTS | never)


def test_a_client_over_http_loads_no_server() -> None:
    code = "from hyperinfer import Client; Client('http://127.0.0.1:1', api_key='k')"
    assert not loaded(code) & (SERVERS | TERMINALS)


def test_a_client_over_the_swarm_loads_no_engine_and_no_database() -> None:
    code = f"from hyperinfer import Client; Client('{LINK}', api_key='k')"
    assert not loaded(code) & {"sqlalchemy", "alembic", "xllamacpp", "redis", "huggingface_hub"}


def loaded(code: str) -> set[str]:
    """Top-level packages that are loaded after this code has run in a process of its own."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True)
    return set(done.stdout.split())
