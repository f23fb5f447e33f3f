"""The ports that workers listen on: free, held by a worker of ours, or taken by another program."""

import errno
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from hyperinfer.cli.checks import Finding, Here, fail, ok, warn
from hyperinfer.facilities.http.listen import PORTS_TRIED

OBSERVED = {"gateway": 9100, "auth": 9101, "inference": 9102, "client": 9103, "metrics": 9105}
"""Each worker type's own port."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that a worker asks for by `setting`; another one does as well unless it is `exact`."""

    host: str
    port: int
    setting: str
    exact: bool


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    ours = {
        number: one.name
        for one in here.running
        for url in one.addresses.values()
        if (number := urlsplit(url).port) is not None
    }
    findings = []
    free = []
    for port in wanted(here):
        if port.port == 0:
            continue  # any will do
        if port.port in ours:
            findings.append(ok(f"port {port.port}", f"held by the {ours[port.port]} worker here"))
        elif (trouble := taken(port)) is None:
            free.append(port.port)
        elif here.runs(wtype := port.setting.partition(".")[0]):
            findings.append(ok(f"port {port.port}", f"{trouble} The {wtype} worker here has another."))
        else:
            findings.append(judged(port, trouble, _next_free(port)))
    if free:
        named = ", ".join(map(str, sorted(set(free))))
        findings.append(ok("ports", f"{named} {'are' if len(set(free)) > 1 else 'is'} free"))
    return findings


def wanted(here: Here) -> Iterator[Wanted]:
    """Every port that a worker of this machine would ask for, the bridge's left out, which is the same."""
    gateway = here.settings("gateway")
    if gateway:
        http = gateway.http
        first = http.first_port if http.port is None else http.port
        yield Wanted(http.host, first, "gateway.http.port", exact=http.port is not None)
    for wtype, default in OBSERVED.items():
        settings = here.settings(wtype)
        if settings and settings.observe.enabled and wtype != "client":
            own = settings.observe
            port = default if own.port is None else own.port
            yield Wanted(own.host, port, f"{wtype}.observe.port", exact=own.port is not None)


def judged(port: Wanted, trouble: str, next_free: int | None) -> Finding:
    """Judge a port that cannot be had."""
    what = f"port {port.port}"
    if port.exact:
        return fail(what, trouble, f"Set {port.setting} to a port that is free, or end what holds this one.")
    if next_free is None:
        return fail(what, trouble, f"None of the {PORTS_TRIED} after it is free either: set {port.setting}.")
    return warn(what, trouble, f"{next_free} will be taken instead; {port.setting} asks for a certain one.")


def taken(port: Wanted) -> str | None:
    """Why a worker could not listen there now; nothing if it could. Port 0 is any."""
    if port.port == 0:
        return None
    try:
        found = socket.getaddrinfo(port.host or None, port.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        return f"{port.host} is no address of this machine."
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"It is taken by {_holder(port.port)}."
        return f"It cannot be listened on: {error.strerror}."
    return None


def _next_free(port: Wanted) -> int | None:
    further = range(port.port + 1, min(port.port + PORTS_TRIED, 65536))
    return next((one for one in further if taken(Wanted(port.host, one, port.setting, exact=False)) is None), None)


def _holder(port: int) -> str:
    """Whoever listens there, as far as this user may know."""
    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    except psutil.Error:
        pass
    return "another program"
