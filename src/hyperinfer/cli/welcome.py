"""What `hyperinfer up` prints when all is ready: where, as whom, and a line that works when pasted. Pure text."""

import shlex
from dataclasses import dataclass

import msgspec

PROMPT = "What is 2 + 2?"


@dataclass(frozen=True, slots=True)
class Welcome:
    """All that is printed. `link` is there where others can reach the swarm, `password` when the administrator has just been
    made."""

    url: str
    key: str
    model: str
    swarm: str
    link: str = ""
    admin: str = ""
    password: str = ""

    def lines(self) -> list[str]:
        """The text, line by line."""
        facts = [("API", f"{self.url}/v1"), ("key", self.key), ("model", self.model), ("swarm", self.swarm)]
        if self.link:
            facts.append(("link", self.link))
        if self.password:
            facts += [("admin", self.admin), ("password", f"{self.password}  (shown this once)")]
        return [*(f"{name:<9}{value}" for name, value in facts), "", *curl(self.url, self.key, self.model)]


def curl(url: str, key: str, model: str) -> list[str]:
    """A request to paste into a shell, without a model the gateway's default, without a key as it is; the key is in a header, which curl shows to nobody but the server."""
    body = {**({"model": model} if model else {}), "messages": [{"role": "user", "content": PROMPT}]}
    return [
        f"curl {shlex.quote(f'{url}/v1/chat/completions')} \\",
        "  -H 'Content-Type: application/json' \\",
        *([f"  -H {shlex.quote(f'X-API-Key:{key}')} \\"] if key else []),
        f"  -d {shlex.quote(msgspec.json.encode(body).decode())}",
    ]
