"""All checks at once, each with a deadline; one that fails by itself is a finding like any other."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from hyperinfer.cli import places
from hyperinfer.cli.checks import (
    Check,
    Finding,
    Here,
    Verdict,
    fail,
    folders,
    gateway,
    machine,
    models,
    ports,
    stores,
    swarm,
)
from hyperinfer.cli.checks import settings as settings_here
from hyperinfer.errors import ConfigError, HyperinferError
from hyperinfer.kernel import config
from hyperinfer.kernel.status import read_all
from hyperinfer.sdk.requests import base_url

DEADLINE_S = 30.0

BASE = {"gateway": {"http.first_port": 3000}}
"""As `hyperinfer up` has it."""

PARTS: dict[str, tuple[Check, ...]] = {
    "Machine": (machine.check, folders.check, ports.check),
    "Settings": (settings_here.check,),
    "Swarm": (swarm.check, gateway.check_members),
    "Models": (models.check, models.check_servers),
    "Accounts": (stores.check,),
    "Gateway": (gateway.check,),
}
"""Checks by the part of the machine that they look at, in the order in which they are shown."""


class Part(msgspec.Struct, frozen=True):
    """A part of the machine, and what was found there."""

    name: str
    findings: tuple[Finding, ...]


def here(*, env: str | None = None, named: str | None = None) -> Here:
    """What there is to look at. Raises `BadRequest` for a gateway whose name is no address."""
    if named:
        base_url(named)
    loaded, broken = {}, {}
    for wtype in places.SETTINGS:
        try:
            loaded[wtype] = places.load(wtype, env=env, base=BASE.get(wtype))
        except ConfigError as error:
            broken[wtype] = error.message
    home = config.home()
    status = {home / one.settings.status_dir for one in loaded.values()}
    running = [one for folder in sorted(status) for one in read_all(folder)]
    return Here(home, loaded, broken, running, named)


async def examine(
    place: Here, *, show: Callable[[Sequence[str]], None], deadline_s: float = DEADLINE_S
) -> tuple[Part, ...]:
    """Look at everything. `show` is told which parts are still being looked at, whenever that changes."""
    left = list(PARTS)

    async def part(name: str, checks: Sequence[Check]) -> Part:
        findings = await asyncio.gather(*(_checked(name, check, place, deadline_s) for check in checks))
        left.remove(name)
        show(left)
        return Part(name, tuple(finding for found in findings for finding in found))

    show(left)
    return tuple(await asyncio.gather(*(part(name, checks) for name, checks in PARTS.items())))


async def _checked(name: str, check: Check, place: Here, deadline_s: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(deadline_s):
            return await check(place)
    except TimeoutError:
        found = f"No end after {deadline_s:.0f} s."
        return [fail(name.lower(), found, "Look at what it asks: disks, databases and servers that hang.")]
    except (HyperinferError, OSError) as error:
        return [fail(name.lower(), str(error), "Run again with DEBUG=1, and see the log.")]


def worst(parts: Sequence[Part]) -> Verdict:
    """How the machine is as a whole."""
    found = {finding.verdict for part in parts for finding in part.findings}
    return next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in found), Verdict.OK)
