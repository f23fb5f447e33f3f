"""The whole product in a thread of its own, with a model for every temper, for official clients of every API."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.backends import CHAT, COMPLETION, EMBEDDING, REASONING, VISION
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"
BASE = (CHAT, COMPLETION, EMBEDDING)
"""Nothing beyond the mere kinds: such a model's answer cannot be gone on with elsewhere, either."""

PLAIN = "org/plain:1b"
MODELS: Mapping[str, Mapping[str, Any]] = {
    "echo": {},
    "thinker": {"capabilities": [*BASE, REASONING]},
    "eyes": {"capabilities": [*BASE, VISION]},
    PLAIN: {"capabilities": [CHAT]},
    "narrow": {"context_tokens": 8},
    "endless": {"tokens": 100_000, "token_s": 0.005},
    "single": {"tokens": 100_000, "token_s": 0.005, "slots": 1},
    "thinking": {"first_token_s": 600.0},
    "dead": {"fault": "before_first_token"},
    "brittle": {"fault": "in_mid_stream", "capabilities": list(BASE)},
    "confusing": {"fault": "garbage", "capabilities": list(BASE)},
}
"""Settings of the echo backend for each model: one worker serves it. `single` lets nobody wait."""


TEMPLATE = """{%- if tools %}<|im_start|>system
Call one of these functions:{% for tool in tools %} {{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.tool_calls %}{% for call in message.tool_calls %}{{ call.function | tojson }}{% endfor %}{% endif -%}
{{ message.content }}<|im_end|>
{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""The shipped model's own knows of no tools; with this one the engine makes it call them."""


class Product:
    """Where it is, and an administrator's key. `ask` is for what no OpenAI client asks."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = ""

    async def ask(self, verb: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with (
            aiohttp.ClientSession(self.url, headers=headers) as http,
            http.request(verb, path, json=body) as reply,
        ):
            assert reply.status < 300, await reply.text()
            return await reply.json()

    async def prepare(self) -> None:
        """Log in as the administrator, and make a key."""
        login = await self.ask("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD})
        self.key = login["access_token"]
        self.key = (await self.ask("POST", "/api/auth/api-keys", {"scopes": ["inference", "account", "admin"]}))["key"]

    async def person(self, name: str, **limits: int) -> str:
        """The key of somebody with these limits."""
        body = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        made = await self.ask("POST", "/api/auth/register", body)
        await self.ask("PATCH", f"/api/admin/users/{made['id']}", {"limits": limits})
        key: str = made["api_key"]["key"]
        return key

    async def busy(self, model: str) -> int:
        """How many slots of a model are taken."""
        rows = (await self.ask("GET", "/api/workers"))["workers"]
        return sum(one["busy"] for row in rows for one in row["models"] if one["name"] == model)

    async def until_busy(self, model: str, slots: int, *, timeout_s: float) -> None:
        async def is_so() -> bool:
            return await self.busy(model) == slots

        await eventually(is_so, timeout_s=timeout_s)


class Stage:
    """Runs a product in the loop of a thread: opened and closed by the same task, as task groups want it."""

    def __init__(self, home: Path, models: Mapping[str, Mapping[str, Any]], **inference: Any) -> None:
        self._home = home
        self._models = models
        self._inference = inference
        self._over = asyncio.Event()
        self._task: asyncio.Task[None]

    async def open(self) -> Product:
        opened: asyncio.Future[Product] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(opened))
        futures: list[asyncio.Future[Any]] = [self._task, opened]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task
        return opened.result()

    async def close(self) -> None:
        self._over.set()
        await self._task

    async def _live(self, opened: asyncio.Future[Product]) -> None:
        home = self._home
        await create_admin(home / "data" / "auth", AuthSettings(), password=PASSWORD)
        parts = [part(AUTH, home=home), *self._workers(), part(GATEWAY, home=home, http__port=0, worker_wait_s=0.2)]
        async with swarm(parts, home=home) as running:
            product = Product(running["gateway"].addresses["http"])
            await product.prepare()

            async def ready() -> bool:
                found = (await product.ask("GET", "/v1/models"))["data"]
                return len(found) >= max(1, len(self._models))

            await eventually(ready, timeout_s=30)
            opened.set_result(product)
            await self._over.wait()

    def _workers(self) -> Iterator[Any]:
        for number, (name, settings) in enumerate(self._models.items()):
            echo = {f"echo__{key}": value for key, value in settings.items()}
            queue = 0 if name == "single" else 64
            yield part(
                INFERENCE,
                home=self._home,
                rack=str(number),
                llamacpp__enabled=False,
                echo__enabled=True,
                echo__model=name,
                queue=queue,
                **echo,
            )
        if self._inference:
            yield part(INFERENCE, home=self._home, **self._inference)


@contextmanager
def staged(home: Path, models: Mapping[str, Mapping[str, Any]], **inference: Any) -> Iterator[Product]:
    """A product with these models, and with a worker of these settings if there are any."""
    thread = LoopThread()
    try:
        stage = Stage(home, models, **inference)
        product = thread.run(stage.open())
        try:
            yield product
        finally:
            thread.run(stage.close())
    finally:
        thread.close()
