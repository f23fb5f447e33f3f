"""The way to other machines: Node, the driver, the DHT, and what the router here does."""

import asyncio
from collections.abc import Sequence

from hyperinfer.cli.checks import Finding, Here, counted, fail, ok, warn
from hyperinfer.errors import StartError
from hyperinfer.facilities.net.driver import install
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.surroundings import Router, Surroundings, look, own_addresses

VERSION_S = 5.0
INSTALL = "hyperinfer driver install"
DRIVER, DHT, ROUTER = "driver", "DHT", "router"


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    settings = next((here.settings(wtype).net for wtype in here.loaded), None)
    if settings is None:
        return []
    if not settings.driver:
        return [ok(DRIVER, "off by net.driver: workers of one process reach each other, and nobody else")]
    try:
        node = await _node(settings)
    except StartError as error:
        return [fail("Node", error.message, "Install hyperinfer again, or name a Node that there is in net.node.")]
    if not install.is_installed():
        return [node, warn(DRIVER, "not installed yet: it will be on first use (35 MB)", INSTALL)]
    try:
        seen = await look(settings)
    except StartError as error:
        mend = f"Remove {install.folder()}, then: {INSTALL}"
        return [node, fail(DRIVER, error.message, mend)]
    judged = surroundings(seen, settings, seen.router(own_addresses()))
    return [node, ok(DRIVER, f"installed in {install.folder()}"), *judged]


def surroundings(seen: Surroundings, settings: NetSettings, router: Router) -> list[Finding]:
    """Judge what was seen of the DHT, and what the router does."""
    if seen.nodes == 0:
        return [_nobody(settings)]
    whose = "the public one" if settings.bootstrap is None else ", ".join(settings.bootstrap)
    found = [ok(DHT, f"reached ({whose}): {counted(seen.nodes, 'node')} at {counted(seen.addresses, 'address')}")]
    if not settings.behind_router:
        return [*found, ok(ROUTER, "none to get through: the DHT's first nodes are at addresses of this site")]
    return [*found, _judged(router, seen)]


def _nobody(settings: NetSettings) -> Finding:
    if settings.bootstrap is None:
        mend = (
            "Let UDP out, in this machine's firewall and the router's. On one site without a way out, run `hyperinfer dht` "
            "and name it in net.bootstrap."
        )
        return warn(DHT, "No node of the public one answers: this machine is offline, or UDP is blocked.", mend)
    named = ", ".join(settings.bootstrap) or "none is named"
    mend = "Start it there with `hyperinfer dht`, open its UDP port, or correct net.bootstrap."
    return warn(DHT, f"No bootstrap node answers ({named}).", mend)


def _judged(router: Router, seen: Surroundings) -> Finding:
    if router == "none":
        return ok(ROUTER, f"none: {seen.host} is this machine's own address")
    if router == "steady":
        return ok(ROUTER, f"keeps its ports ({seen.host}): direct connections come about with nearly everybody")
    if router == "random":
        mend = (
            "Behind two such routers there is no connection: where that happens, put one side behind another router or at a "
            "public address."
        )
        return warn(ROUTER, f"gives every flow another port ({seen.host}): connections take 4 to 28 s", mend)
    return ok(ROUTER, "cannot be told: nodes of the DHT at two addresses have to answer for that")


async def _node(settings: NetSettings) -> Finding:
    path = install.node_path(settings.node)
    try:
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise StartError(f"{path} cannot be run: {error.strerror}.") from error
    try:
        async with asyncio.timeout(VERSION_S):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise StartError(f"{path} does not tell its version.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise StartError(f"{path} ends with exit code {process.returncode}.")
    return ok("Node", f"{said.decode(errors='replace').strip()[:20]} ({path})")
