"""How many alerts fire, as the metrics worker of this machine tells on its own port: no account is needed for that."""

import re
from collections import Counter
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hyperinfer.cli.own_port import headers_of, token_of

if TYPE_CHECKING:
    from hyperinfer.cli.workers_here import Seen

NAME = b"ai_platform_alerts{"
ASK_TIMEOUT_S = 2.0
MAX_BYTES = 32 * 1024 * 1024
"""Everybody's metrics may come before its own."""
SEVERITIES = ("critical", "warning", "info")

_severity = re.compile(rb'severity="(\w+)"')


async def firing(seen: "Sequence[Seen]") -> Mapping[str, int] | None:
    """How many fire by severity; nothing where no metrics worker of this machine tells it."""
    urls = [one.file.addresses.get("observe") for one in seen if one.file.wtype == "metrics" and one.health]
    found = [told for url in urls if url and (told := await _told(url)) is not None]
    return max(found, key=lambda counts: sum(counts.values())) if found else None


async def _told(url: str) -> Mapping[str, int] | None:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as session,
            session.get(f"{url}/metrics", headers=headers_of(token_of("metrics")), allow_redirects=False) as reply,
        ):
            return await counted(reply.content) if reply.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):  # a line that does not end is a ValueError
        return None


async def counted(lines: AsyncIterable[bytes]) -> Mapping[str, int] | None:
    """The alerts that fire, by severity, in metrics as Prometheus reads them; nothing where they say nothing of it."""
    counts: Counter[str] | None = None
    read = 0
    async for line in lines:
        read += len(line)
        if read > MAX_BYTES:
            return None
        if line.startswith(NAME):
            counts = counts if counts is not None else Counter()
            severity = _severity.search(line)
            if severity is not None and b'state="firing"' in line:
                counts[severity[1].decode()] += int(float(line.rpartition(b" ")[2]))
        elif counts is not None:
            break
    return counts


def sentence(counts: Mapping[str, int]) -> str:
    """The same for people."""
    known = [f"{counts[severity]} {severity}" for severity in SEVERITIES if counts.get(severity)]
    return f"{', '.join(known)}; `hyperinfer alerts` shows them" if known else "none"
