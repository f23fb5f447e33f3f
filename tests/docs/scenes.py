"""What stands for what a page takes for granted, in this one place: addresses, keys, what people type, files that they have."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.servers.hub import HubServer, Repo
from hyperinfer.testing.servers.ollama import OllamaModel, OllamaServer
from hyperinfer.testing.servers.openai import OpenAIModel, OpenAIServer
from hyperinfer.testing.servers.postgres import ROOT, PostgresServer
from hyperinfer.testing.servers.redis import RedisServer
from hyperinfer.workers.inference.backends.llamacpp import weights

T = TypeVar("T")
PASSWORD = "correct horse battery staple"

PLACES: tuple[tuple[str, str], ...] = (
    # what a page says, as a pattern; what stands there when it is run
    (r"make up\b", "hyperinfer up"),
    (r"\.venv/bin/hyperinfer", "hyperinfer"),
    (r"http://127\.0\.0\.1:3000", "{url}"),
    (r"ws://127\.0\.0\.1:3000", "{ws}"),
    (r"http://127\.0\.0\.1:3002", "{http}"),
    (r"http://127\.0\.0\.1:9105", "{metrics}"),
    (r"https://ai\.example\.com", "{url}"),
    (r"--host 192\.168\.1\.10", "--port {dht_port}"),
    (r"192\.168\.1\.10:49737", "127.0.0.1:{dht_port}"),
    (r"\bhi_…", "{key}"),
    (r"\bhc_…", "{users-invite}"),
    (r"\bjoin CODE\b", "join {invite}"),
    (r"(?<=\s)/backups\b", "{folder}/backups"),
    (r"/hyperinfer-20261121T092612Z\.tar\.gz", "/hyperinfer-*.tar.gz"),
    (r"postgresql://hyperinfer:PASSWORD@db\.internal/hyperinfer(?!\?)", "{database}"),
    (r"redis://cache\.internal:6379/0", "{redis}"),
    (r"createuser --pwprompt", "printf 'PASSWORD\\nPASSWORD\\n' | createuser --pwprompt"),
    (r"db\.internal/hyperinfer\?[^']*", "127.0.0.1:{postgres}/hyperinfer"),
    (r"DATABASE_URL=postgresql://…", "createdb --owner hyperinfer moved; DATABASE_URL={moved}"),
    (r"\b1234:9f86\w+", "$(hyperinfer audit head)"),
    (r"--members members\.json", "--members {folder}/data/swarm/members.json"),
    (r"localhost:11434", "{ollama}"),
    (r"http://127\.0\.0\.1:8000/v1", "{openai}"),
)


def in_place(text: str, values: Mapping[str, str]) -> str:
    """A block with the real things in it. What is not known yet stays as it is."""

    def real(template: str) -> Callable[[re.Match[str]], str]:
        return lambda found: found[0] if (put := filled(template, values)) is None else put

    for said, template in PLACES:
        text = re.sub(said, real(template), text)
    return text


def filled(template: str, values: Mapping[str, str]) -> str | None:
    """A template with `{name}` replaced; None if a name is not known."""
    names = re.findall(r"\{([a-z][\w-]*)\}", template)
    if any(name not in values for name in names):
        return None
    return re.sub(r"\{([a-z][\w-]*)\}", lambda found: values[found[1]], template)


def answers(values: Mapping[str, str]) -> dict[str, list[str]]:
    """What is typed for commands that ask."""
    return {
        "register": [PASSWORD],
        "login admin": [values.get("password", "")],
        "models rm qwen": ["y"],
        "users delete bob": ["y"],
        "login --gateway": [values.get("password", "")],
        "chat": ["What is 2 + 2?"],
        "swarm recover ": [values.get("swarm-recovery", "")],
    }


STOPS = ("db restore", "db upgrade", "swarm recover ")
"""What is typed once everything on the machine has been stopped, as its page says."""


@contextmanager
def nothing() -> Iterator[dict[str, str]]:
    """No stand-in."""
    yield {}


@dataclass(frozen=True)
class Scene:
    """A page's own: what is typed before its first block, whether it `shares` the house in which `up` runs for several pages, further environment, files in the folder and commands on the path,
    servers that stand in for others and what they are called in the places above, what stands before its first Python program,
    and for a page in a browser what makes one of Node."""

    before: str = "hyperinfer up"
    shares: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    stand_ins: Callable[[], AbstractContextManager[dict[str, str]]] = nothing
    values: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""
    browser: str = ""


def model() -> bytes:
    """A model of the kind that people put into the folder."""
    return weights.path(weights.SMOLLM2).read_bytes()


@contextmanager
def hub() -> Iterator[dict[str, str]]:
    """A model hub with what the guide pulls, and an Ollama that can pull."""
    files = {f"Qwen3-4B-{kind}.gguf": b"GGUF" + bytes(1000) for kind in ("Q4_K_M", "Q5_K_M", "Q8_0")}
    with HubServer.served({"Qwen/Qwen3-4B-GGUF": Repo(files)}) as server, ollama() as values:
        yield {"hub": server.url, **values}


@contextmanager
def ollama() -> Iterator[dict[str, str]]:
    """An Ollama."""
    models = OllamaModel("qwen2.5:7b", opens=True), OllamaModel("nomic-embed-text:latest", ("embedding",))
    with served(OllamaServer.running(*models, registry={"qwen3:8b": 1000, "llama3.2": 1000})) as server:
        yield {"ollama": server.url}


@contextmanager
def openai() -> Iterator[dict[str, str]]:
    """A server like vLLM."""
    with served(OpenAIServer.running(OpenAIModel("Qwen/Qwen3-8B"))) as server:
        yield {"openai": server.url}


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A PostgreSQL."""
    with PostgresServer.running() as server:
        moved = f"postgresql://hyperinfer:PASSWORD@127.0.0.1:{server.port}/moved"
        yield {"postgres": str(server.port), "password": server.password, "moved": moved}


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """A PostgreSQL and a Redis."""
    with PostgresServer.running() as server, RedisServer.running() as redis, server.database() as url:
        yield {"database": url, "redis": redis.url}


@contextmanager
def served(opening: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A server for asyncio, in a thread of its own."""
    thread = LoopThread()
    try:
        server = thread.run(opening.__aenter__())
        try:
            yield server
        finally:
            thread.run(opening.__aexit__(None, None, None))
    finally:
        thread.close()


NAMED = {"HYPERINFER_INFERENCE__ECHO__MODEL": "smollm2-135m"}
"""The model that repeats what it is told, under the name of the one that comes along: at once there, and certain."""
REAL = {
    "HYPERINFER_INFERENCE__ECHO__ENABLED": "false",
    "HYPERINFER_INFERENCE__LLAMACPP__ENABLED": "true",
    "HYPERINFER_INFERENCE__LLAMACPP__THREADS": "1",
    "HYPERINFER_INFERENCE__LLAMACPP__CONTEXT_TOKENS": "512",
}
BOTH = REAL | {"HYPERINFER_INFERENCE__ECHO__ENABLED": "true", "HYPERINFER_AUTH__ALIASES": '{"fast": ["echo"]}'}
ALONE = {"HYPERINFER_COMMON__NET__BOOTSTRAP": "127.0.0.1:{dht_port}"}
"""Workers in processes of their own meet in a DHT of their own."""

SWARM = """
hyperinfer dht --port {dht_port}
hyperinfer swarm init
for role in gateway inference; do hyperinfer members add $(hyperinfer identity $role) --role $role --name $role; done
for role in auth gateway inference; do hyperinfer worker --wtype $role; done
hyperinfer users create-admin
hyperinfer login --gateway http://127.0.0.1:3002 admin
"""
"""A swarm of processes, where a page starts one of them anew."""
NAMES = 'key, model = "hi_…", "echo"'
PAGE = """
const key = "hi_…";
globalThis.document = { body: { append: (text) => { console.log(text); process.exit(0); } } };
"""

SHARED = Scene(before="", shares=True)
HOUSE = Scene(environment=NAMED)
"""Where `up` runs for all pages that share it."""

SCENES: Mapping[str, Scene] = {
    "README.md": Scene(before="", environment=REAL),
    "docs/getting-started/first-answer.md": Scene(before="", environment=REAL),
    "docs/guides/accounts-and-keys.md": SHARED,
    "docs/guides/alerts.md": SHARED,
    "docs/guides/anthropic-clients.md": SHARED,
    "docs/guides/bridge.md": SHARED,
    "docs/guides/command-line.md": SHARED,
    "docs/guides/https.md": Scene(before=""),
    "docs/guides/logs.md": SHARED,
    "docs/guides/metrics.md": SHARED,
    "docs/guides/prometheus.md": SHARED,
    "docs/guides/reports.md": SHARED,
    "docs/guides/tests.md": Scene(before=""),
    "docs/guides/traces.md": SHARED,
    "docs/guides/watching.md": SHARED,
    "docs/guides/workers.md": SHARED,
    "docs/guides/audit.md": Scene(
        before="hyperinfer up\nhyperinfer register ada@example.com\ncp data/swarm/members.json members-of-gpu-box.json"
    ),
    "docs/guides/databases.md": Scene(
        before="hyperinfer swarm init\ndropuser hyperinfer\nmkdir backups",
        environment={"PGHOST": "127.0.0.1", "PGPORT": "{postgres}", "PGUSER": ROOT, "PGPASSWORD": "{password}"},
        stand_ins=postgres,
    ),
    "docs/guides/gpu-box.md": Scene(before="hyperinfer dht --port {dht_port}\nhyperinfer up", environment=ALONE),
    "docs/guides/langchain-llm-curl.md": replace(SHARED, environment={"LLM_LOAD_PLUGINS": ""}),
    "docs/guides/postgresql-and-redis.md": Scene(before="", stand_ins=databases),
    "docs/guides/models.md": Scene(
        environment=BOTH, files={"Qwen2.5-7B-Instruct-Q4_K_M.gguf": model, "models/.keep": bytes}
    ),
    "docs/guides/ollama.md": Scene(
        before=SWARM,
        environment=ALONE | {"HYPERINFER_INFERENCE__OLLAMA__ENABLED": "auto", "OLLAMA_URL": "{ollama}"},
        commands={"ollama": 'exec curl -sf "$OLLAMA_URL/api/pull" -d \'{"model": "\'$2\'"}\''},
        stand_ins=ollama,
    ),
    "docs/guides/ollama-clients.md": SHARED,
    "docs/guides/openai-clients.md": Scene(environment=BOTH, prelude=NAMES),
    "docs/guides/openai-servers.md": Scene(before=SWARM, environment=ALONE, stand_ins=openai),
    "docs/guides/pulling-models.md": Scene(
        environment={"HF_ENDPOINT": "{hub}", "OLLAMA_URL": "{ollama}"}, stand_ins=hub
    ),
    "docs/guides/several-machines.md": Scene(before="", environment=ALONE),
    "docs/guides/websocket.md": replace(SHARED, prelude=NAMES, browser=PAGE),
}
"""Pages that need more than an `up` with the model that repeats what it is told."""
