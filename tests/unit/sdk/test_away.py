"""Gateways that cannot be reached, and what is said of each."""

from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer import AsyncClient
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.facilities.http.tls import Certificate
from hyperinfer.testing.certificates import Authority


async def test_where_nobody_listens_the_connection_is_refused() -> None:
    async with AsyncClient("http://127.0.0.1:9", api_key="k", max_retries=0) as client:
        with pytest.raises(Unavailable, match=r"^No gateway answers at http://127.0.0.1:9: connection refused\.$"):
            await client.models.list()


async def nobody_asks(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError


async def test_a_certificate_that_is_not_trusted_comes_with_how_it_can_be(tmp_path: Path) -> None:
    listen = Listen(port=0, drain_s=0.1, certificate=Certificate(*Authority(tmp_path).certify("127.0.0.1")))
    async with serving(nobody_asks, listen) as url, AsyncClient(url, api_key="k", max_retries=0) as client:
        with pytest.raises(Unavailable, match=r"is not trusted here: .*\. .*SSL_CERT_FILE=FILE\.$") as raised:
            await client.models.list()
    assert raised.value.details["reason"] == "certificate"
