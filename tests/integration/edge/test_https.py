"""A gateway over HTTPS, by the certificate of a private authority, as official and other clients meet it."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx2
import openai
import pytest

from hyperinfer.errors import ConfigError, StartError
from hyperinfer.kernel.status import read_all
from hyperinfer.testing.certificates import Authority
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"
LOGIN = {"username": "admin", "password": PASSWORD}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def url(tmp_path: Path, authority: Authority) -> AsyncIterator[str]:
    await create_admin(tmp_path / "data" / "auth", AuthSettings(), password=PASSWORD)
    certificate, key = authority.certify("127.0.0.1", "ai.example")
    https = {"http__tls_certificate": str(certificate), "http__tls_key": str(key)}
    parts = [
        part(AUTH, home=tmp_path),
        part(INFERENCE, home=tmp_path, llamacpp__enabled=False, echo__enabled=True),
        part(GATEWAY, home=tmp_path, http__port=0, **https),
    ]
    async with swarm(parts, home=tmp_path) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        yield running["gateway"].addresses["http"]


async def test_a_private_authority_is_enough(url: str, authority: Authority, tmp_path: Path) -> None:
    assert url.startswith("https://127.0.0.1:")
    [shown] = [file.addresses["http"] for file in read_all(tmp_path / "status") if file.wtype == "gateway"]
    assert shown == url
    trusted = ssl.create_default_context(cafile=authority.file)
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=trusted)) as http:
        async with http.post(
            "/api/auth/login", json=LOGIN | {"cookie": True}, headers={"Sec-Fetch-Site": "none"}
        ) as reply:
            assert "; Secure" in reply.headers["set-cookie"]
        async with http.post("/api/auth/login", json=LOGIN) as reply:
            session = (await reply.json())["access_token"]
        async with http.get("/healthz", headers={"Host": "ai.example"}) as reply:
            assert reply.status == 200  # a name of its certificate is a name of its own
        async with http.get("/healthz", headers={"Host": "evil.example"}) as reply:
            assert reply.status == 403

    async with (
        httpx2.AsyncClient(verify=trusted) as carrier,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=session, http_client=carrier, max_retries=0) as client,
    ):
        whole = await client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "one two"}])
        assert whole.choices[0].message.content == "one two"
        stream = await client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(said) == "one two three"
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=session, max_retries=0) as stranger:
        with pytest.raises(openai.APIConnectionError):
            await stranger.models.list()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"http__tls_certificate": "server.pem"}, ConfigError, "http.tls_key"),
        ({"http__tls_key": "server.key"}, ConfigError, "http.tls_certificate"),
        ({"http__tls_certificate": "/nowhere.pem", "http__tls_key": "/nowhere.key"}, StartError, "/nowhere.pem"),
    ],
)
async def test_a_gateway_does_not_start_without_what_https_needs(
    tmp_path: Path, settings: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        async with swarm(
            [part(AUTH, home=tmp_path), part(GATEWAY, home=tmp_path, http__port=0, **settings)], home=tmp_path
        ):
            pass
