"""What there is, with the official client; models are managed elsewhere, which it is told."""

from collections.abc import Callable
from datetime import UTC, datetime

import ollama
import pytest
from tests.contract.product import MODELS, Product

from .conftest import MESSAGES, TEXT, headers


async def test_every_model_is_listed(client: ollama.AsyncClient) -> None:
    models = {model.model: model for model in (await client.list()).models}
    assert models.keys() == MODELS.keys()
    echo = models["echo"]
    assert echo.modified_at is not None
    assert echo.modified_at < datetime.now(UTC)
    assert echo.digest is not None
    assert len(echo.digest) == 64
    assert echo.size == 0
    assert echo.details is not None


async def test_what_is_loaded(client: ollama.AsyncClient) -> None:
    echo = {model.model: model for model in (await client.ps()).models}["echo"]
    assert echo.context_length == 8192
    assert echo.expires_at is not None
    listed = {model.model: model.digest for model in (await client.list()).models}
    assert echo.digest == listed["echo"]


def test_one_model(blocking: ollama.Client) -> None:
    shown = blocking.show("echo")
    assert shown.capabilities is not None
    assert {"completion", "embedding", "tools"} <= set(shown.capabilities)
    assert shown.modelinfo is not None
    assert shown.modelinfo[f"{shown.modelinfo['general.architecture']}.context_length"] == 8192
    assert "vision" in (blocking.show("EYES").capabilities or ())
    with pytest.raises(ollama.ResponseError) as missing:
        blocking.show("nothing")
    assert missing.value.status_code == 404


def test_the_clients_environment(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", product.url)
    monkeypatch.setenv("OLLAMA_API_KEY", product.key)
    with ollama.Client() as client:
        assert client.chat("echo", MESSAGES).message.content == TEXT


@pytest.mark.parametrize(
    "manage",
    [
        lambda client: client.pull("llama3.2"),
        lambda client: list(client.pull("llama3.2", stream=True)),
        lambda client: client.push("me/mine"),
        lambda client: client.delete("echo"),
        lambda client: client.create("mine", from_="echo"),
        lambda client: client.copy("echo", "mine"),
        lambda client: client.create_blob(__file__),
    ],
    ids=["pull", "pull with progress", "push", "delete", "create", "copy", "create_blob"],
)
def test_models_are_not_managed_here(blocking: ollama.Client, manage: Callable[[ollama.Client], object]) -> None:
    with pytest.raises(ollama.ResponseError, match="hyperinfer models pull") as refused:
        manage(blocking)
    assert refused.value.status_code == 403


def test_a_stranger_is_told_nothing(product: Product) -> None:
    for given in (None, {"Authorization": "Bearer hi_abcdefgh_nonsense"}):
        with ollama.Client(host=product.url, headers=given) as client, pytest.raises(ollama.ResponseError) as refused:
            client.list()
        assert refused.value.status_code == 401
    with ollama.Client(host=product.url, headers={"X-API-Key": headers(product)["Authorization"][7:]}) as client:
        assert client.list().models
