"""The models of this machine: the embedded engine, its files and the memory for them; and the servers that have others."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from hyperinfer.cli.checks import Finding, Here, counted, fail, ok, warn
from hyperinfer.errors import ConfigError, HyperinferError, StartError

if TYPE_CHECKING:
    from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
    from hyperinfer.workers.inference.backends.llamacpp.shelf import Entry
    from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings
    from hyperinfer.workers.inference.backends.openai.settings import ServerSettings

GB = 10**9
ASK_S = 8.0
PULLED = "hyperinfer models recommended"


async def check(here: Here) -> Sequence[Finding]:
    """The engine and its models."""
    settings, paths = here.settings("inference"), here.paths("inference")
    if settings is None or paths is None:
        return []
    if not settings.llamacpp.enabled:
        return [ok("engine", "off by llamacpp.enabled")]
    from hyperinfer.workers.inference.backends.llamacpp import machine
    from hyperinfer.workers.inference.backends.llamacpp.shelf import Shelf

    try:
        machine.check()
    except StartError as error:
        return [fail("engine", error.message, "Install it as said, or set inference.llamacpp.enabled to false.")]
    engine = ok("engine", "its library and what it needs of the system are there")
    try:
        shelf = Shelf(settings.llamacpp, data=paths.data, models=paths.models, default=settings.default_model)
        entries = await shelf.look()
    except HyperinferError as error:
        return [engine, fail("models", error.message, "Correct inference.llamacpp, or bring the file back.")]
    found = [model(entry, settings.llamacpp, psutil.virtual_memory().total) for entry in entries]
    return [engine, *(found or [_none(settings.llamacpp)]), *await asyncio.to_thread(_half_pulled, paths.models)]


def model(entry: "Entry", settings: "LlamaCppSettings", total_bytes: int) -> Finding:
    """Judge one model: whether its file is there and good, and whether it can ever fit into the machine."""
    what = f"model {entry.name}"
    if entry.problem:
        return fail(what, entry.problem, f"Remove it (`hyperinfer models rm {entry.name}`) and pull it again.")
    if entry.found is None:
        return ok(what, "not here yet: it is fetched on first use (98 MB)")
    needed_bytes = entry.traits.memory_bytes(
        entry.found.size_bytes, slots=settings.slots, context_tokens=settings.context_tokens
    )
    found = f"{entry.found.size_bytes / GB:.1f} GB, takes about {needed_bytes / GB:.1f} GB of memory"
    if needed_bytes > total_bytes:
        mend = f"Fewer slots or a shorter context may do (inference.llamacpp); others that fit: {PULLED}"
        return warn(what, f"{found}, and the machine has {total_bytes / GB:.1f} GB", mend)
    return ok(what, found)


def _none(settings: "LlamaCppSettings") -> Finding:
    return warn("models", f"There is none in {settings.model_path}.", f"Put a GGUF file there; {PULLED} shows some.")


def _half_pulled(root: Path) -> list[Finding]:
    from hyperinfer.workers.inference.hub.shelf import kept

    return [
        warn(
            f"model {one.name}",
            f"{one.size_bytes / GB:.1f} of {one.whole_bytes / GB:.1f} GB are here",
            f"hyperinfer models pull {one.source}",
        )
        for one in kept(root)
        if not one.is_whole
    ]


# --- servers ----------------------------------------------------------------------------------------------


async def check_servers(here: Here) -> Sequence[Finding]:
    """Ollama, and servers that speak OpenAI's API."""
    settings = here.settings("inference")
    if settings is None:
        return []
    from hyperinfer.workers.inference.backends.openai.servers import servers_of

    try:
        servers = servers_of(settings.openai)
    except ConfigError as error:
        return [fail("servers", error.message, "Correct inference.openai.")]
    asked = [_server(server) for server in servers]
    if settings.ollama.enabled:
        asked.append(_ollama(settings.ollama))
    return await asyncio.gather(*asked)


async def _ollama(settings: "OllamaSettings") -> Finding:
    from hyperinfer.workers.inference.backends.ollama.client import OllamaClient

    what = "Ollama"
    try:
        async with asyncio.timeout(ASK_S), OllamaClient(settings) as client:
            there = await client.catalogue()
    except TimeoutError:
        return _away(what, f"{settings.url} does not answer in time.", is_wanted=settings.enabled is True)
    except HyperinferError as error:
        return _away(what, error.message, is_wanted=settings.enabled is True)
    if not there.tags:
        return warn(what, f"{there.version} at {settings.url}, without a model", "ollama pull llama3.2")
    return ok(what, f"{there.version} at {settings.url}: {counted(len(there.tags), 'model')}")


def _away(what: str, why: str, *, is_wanted: bool) -> Finding:
    if is_wanted:
        return fail(what, why, "Start it with `ollama serve`, or correct inference.ollama.url.")
    return ok(what, "none here; one that starts is used by itself")


async def _server(settings: "ServerSettings") -> Finding:
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.workers.inference.backends.openai.client import ServerClient

    what = f"server {settings.name}"
    mend = f"See that it runs and that its key is right: inference.openai, {settings.url}"
    try:
        async with asyncio.timeout(ASK_S), ServerClient(settings, SystemClock()) as client:
            there = await client.catalogue()
    except TimeoutError:
        return fail(what, f"{settings.url} does not answer in time.", mend)
    except HyperinferError as error:
        return fail(what, error.message, mend)
    if not there.models:
        return warn(what, f"{settings.url} answers, without a model that may be used", "Look at its `models` patterns.")
    return ok(what, f"{settings.url}: {counted(len(there.models), 'model')}")
