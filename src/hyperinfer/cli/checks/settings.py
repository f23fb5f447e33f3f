"""The settings: whether they can be read, and what overrides them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hyperinfer.cli.checks import Finding, Here, fail, ok, warn
from hyperinfer.cli.places import SETTINGS
from hyperinfer.kernel import config

FILES = (".json",)
KINDS_OF_ORIGIN = (config.DEFAULT, "--set")


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    findings = [fail("settings", said, mend(said)) for said in dict.fromkeys(here.broken.values())]
    if not findings:
        findings.append(ok("settings", f"those of {', '.join(here.loaded)} are understood"))
    origins = {
        (wtype, path): origin for wtype, loaded in here.loaded.items() for path, origin in loaded.origins.items()
    }
    variables = overriding(origins.items())
    if variables:
        findings.append(ok("environment", "; ".join(variables)))
    findings += misplaced(here.home / "config")
    if unknown := config.unknown_names(SETTINGS):
        findings.append(
            warn(
                "environment",
                f"Nothing reads {', '.join(unknown)}.",
                "A setting is HYPERINFER_GATEWAY__HTTP__PORT for gateway.http.port: correct the name, or unset it.",
            )
        )
    return findings


def mend(said: str) -> str:
    """What to do about settings that are not understood."""
    if "(from HYPERINFER_" in said or "(from DEBUG" in said:
        return "Correct or unset the environment variable; `hyperinfer config show gateway` shows what is in force."
    return "Correct the file; `hyperinfer config path` shows where it is."


def overriding(origins: Iterable[tuple[tuple[str, str], str]]) -> list[str]:
    """Environment variables that give settings, each with what it gives; settings by worker type and path."""
    given: dict[str, set[str]] = {}
    for (wtype, path), origin in origins:
        if origin not in KINDS_OF_ORIGIN and not _is_file(origin):
            is_everyones = origin.startswith("HYPERINFER_COMMON__")
            given.setdefault(origin, set()).add(path if is_everyones else f"{wtype}.{path}")
    return [f"{name} sets {_few(sorted(paths))}" for name, paths in sorted(given.items())]


def misplaced(folder: Path) -> list[Finding]:
    """Files in the folder for configuration that no worker reads."""
    known = (config.COMMON, *SETTINGS)
    names = sorted(path.name for path in folder.glob("*.json") if path.stem.rpartition(".")[2] not in known)
    if not names:
        return []
    mend = f"Name it after a worker: {', '.join(f'{name}.json' for name in known)}."
    return [warn("settings", f"Nothing reads {', '.join(names)} in {folder}.", mend)]


def _is_file(origin: str) -> bool:
    return origin.partition(",")[0].endswith(FILES)


def _few(paths: Sequence[str], most: int = 3) -> str:
    return ", ".join(paths[:most]) + (f" and {len(paths) - most} more" if len(paths) > most else "")
