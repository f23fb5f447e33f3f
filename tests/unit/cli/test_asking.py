"""Asking, talking, listing models: what is asked of models."""

import json
from typing import Any

import pytest

from hyperinfer.cli import ask
from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts import inference
from hyperinfer.errors import BackendFailed, ContextExceeded, ModelNotFound, Unauthenticated
from hyperinfer.sdk import profile
from hyperinfer.testing.answers import saying
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command, Terminal


def asked(gateway: FakeGateway) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(gateway.calls[-1][1].body))
    return body


@pytest.mark.usefixtures("url")
def test_the_answer_is_the_output_and_nothing_else_is(command: Command, gateway: FakeGateway) -> None:
    done = command("ask", "What", "is 2 + 2?", "--system", "Be brief.", "--model", "m")
    assert (done.code, done.out, done.err) == (0, "four.\n", "")
    assert gateway.calls[-1][2].key == "hi_key"
    assert asked(gateway)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 2 + 2?"},
    ]
    assert asked(gateway)["stream"] is True


@pytest.mark.usefixtures("url")
def test_what_is_piped_in_stands_behind_the_prompt_or_for_it(command: Command, gateway: FakeGateway) -> None:
    command("ask", "Review:", stdin="a = 1\n")
    assert asked(gateway)["messages"][0]["content"] == "Review:\n\na = 1\n"
    command("ask", stdin="only this")
    assert asked(gateway)["messages"][0]["content"] == "only this"


@pytest.mark.usefixtures("url")
def test_a_whole_answer_as_text_and_as_json(command: Command, gateway: FakeGateway) -> None:
    assert command("ask", "--no-stream", "hi").out == "four.\n"
    assert "stream" not in asked(gateway)
    answer = json.loads(command("ask", "--json", "hi").out)
    assert (answer["text"], answer["usage"]["total_tokens"]) == ("four.", 5)


@pytest.mark.usefixtures("url")
def test_nothing_to_ask_is_a_wrong_use(command: Command) -> None:
    done = command("ask", "  ")
    assert (done.code, done.out) == (2, "")
    assert "nothing to ask" in done.err


@pytest.mark.usefixtures("url")
def test_too_much_input_is_refused_before_it_is_sent(
    command: Command, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "MAX_INPUT_BYTES", 10)
    done = command("ask", stdin="x" * 11)
    assert done.code == 1
    assert "too large" in done.err
    assert gateway.calls == []


@pytest.mark.usefixtures("url")
def test_an_answer_that_was_cut_off_says_so_beside_it(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["processInferenceRequest"] = saying(["a"], reason="length")
    done = command("ask", "hi")
    assert done.out == "a\n"
    assert "cut off" in done.err


@pytest.mark.usefixtures("url")
def test_an_answer_that_breaks_off_is_a_failure(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["processInferenceRequest"] = saying(["fo"], then=BackendFailed("The model broke off."))
    done = command("ask", "hi")
    assert (done.code, done.out, done.err) == (1, "fo\n", "The model broke off.\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelNotFound("There is no such model. There is: m."), "There is no such model. There is: m.\n"),
        (Unauthenticated("This key is not valid."), "This key is not valid. `hyperinfer login` opens a new session.\n"),
    ],
)
@pytest.mark.usefixtures("url")
def test_a_refusal_is_one_sentence(command: Command, gateway: FakeGateway, error: Exception, said: str) -> None:
    gateway.answers["processInferenceRequest"] = always(error)
    done = command("ask", "hi")
    assert (done.code, done.err) == (1, said)


def test_without_a_gateway_it_is_said_how_to_have_one(command: Command) -> None:
    done = command("ask", "hi")
    assert done.code == 1
    assert "hyperinfer up" in done.err


def test_a_gateway_that_is_not_running_is_said_to_be_so(command: Command) -> None:
    with served(FakeGateway()) as url:
        profile.save(profile.Account(gateway=url, api_key="k"))
    done = command("models")
    assert done.code == 1
    assert url in done.err
    assert "hyperinfer up" in done.err


def test_a_key_is_not_given_to_a_gateway_that_is_merely_named(command: Command, url: str, gateway: FakeGateway) -> None:
    with served(gateway) as other:
        done = command("ask", "--gateway", other, "hi")
    assert done.code == 1
    assert f"login --gateway {other}" in done.err
    assert gateway.calls == []
    assert command("ask", "--gateway", f"{url}/v1", "hi").out == "four.\n"


@pytest.mark.usefixtures("url")
def test_models_in_columns_and_as_json(command: Command, gateway: FakeGateway) -> None:
    model = contract.PublicModel(
        id="m",
        created=1,
        workers=2,
        slots=8,
        busy=1,
        context_tokens=2048,
        capabilities=("chat", "tools"),
        tokens_per_s=9.87,
    )
    alias = contract.PublicModel(
        id="llama3", created=1, workers=2, slots=8, busy=1, context_tokens=2048, state="idle", answered_by=("m", "n")
    )
    gateway.answers["listModels"] = always(contract.PublicModels(models=(model, alias)))
    assert command("models").out.splitlines() == [
        "MODEL   STATE  WORKERS  SLOTS  BUSY  QUEUED  CONTEXT  TOKENS/S  CAN",
        "m       ready        2      8     1       0     2048       9.9  chat, tools",
        "llama3  idle         2      8     1       0     2048         -  = m, n",
    ]
    assert command("models", "list").out == command("models").out
    assert json.loads(command("models", "--json").out)[0]["slots"] == 8
    gateway.answers["listModels"] = always(contract.PublicModels())
    done = command("models")
    assert (done.code, done.out) == (0, "")
    assert "No model" in done.err


@pytest.mark.usefixtures("url")
def test_what_runs_now_worker_by_worker(command: Command, gateway: FakeGateway) -> None:
    status = inference.ModelStatus(
        name="m",
        backend="llamacpp",
        state="ready",
        slots=4,
        busy=3,
        queued=2,
        tokens_per_s=41.26,
        first_token_s=0.163,
        error_rate=0.25,
        served=3,
        memory_bytes=600_000_000,
    )
    workers = (
        contract.SwarmWorker(
            key="ab" * 32,
            name="gpu-box",
            state="ready",
            in_flight=1,
            models=(status, inference.ModelStatus("n", "ollama", "idle", 1, 0, 0)),
            backends=(inference.BackendStatus("openai", available=False),),
            broken=("n",),
        ),
        contract.SwarmWorker(key="cd" * 32, name="", state="lost", in_flight=0),
    )
    gateway.answers["listWorkers"] = always(contract.SwarmWorkers(workers=workers))
    assert command("ps").out.splitlines() == [
        "WORKER        MODEL  STATE   SLOTS  QUEUED  TOKENS/S  FIRST TOKEN  ERRORS  MEMORY",
        "gpu-box       m      ready   3/4         2  41.3      0.16 s       25 %    0.6 GB",
        "gpu-box       n      broken  0/1         0  -         -            -       -",
        "cdcdcdcdcdcd  -      lost    -           -  -         -            -       -",
        "gpu-box: the backend openai is away.",
    ]
    assert json.loads(command("ps", "--json").out)[0]["models"][0]["tokens_per_s"] == 41.26
    gateway.answers["listWorkers"] = always(contract.SwarmWorkers())
    done = command("ps")
    assert (done.code, done.out) == (0, "")
    assert "No inference worker" in done.err


@pytest.mark.usefixtures("url")
def test_loading_and_unloading_say_what_came_of_it_at_each_worker(command: Command, gateway: FakeGateway) -> None:
    ready = inference.ModelStatus("m", "llamacpp", "ready", 4, 0, 0)
    placed = (contract.Placed("ab" * 32, ready), contract.Placed("cd" * 32, error="There is no room."))
    gateway.answers["loadModel"] = always(contract.Placings(workers=placed))
    gateway.answers["unloadModel"] = always(contract.Placings(workers=placed[:1]))
    done = command("models", "load", "m")
    assert done.code == 1
    assert done.out.splitlines()[1:] == ["abababababab  ready   -", "cdcdcdcdcdcd  failed  There is no room."]
    assert command("models", "unload", "m", "--worker", "ab" * 32).code == 0
    assert gateway.calls[-1][1] == contract.PlaceModel(model="m", worker="ab" * 32)


@pytest.mark.usefixtures("url")
def test_chat_from_a_pipe(command: Command, gateway: FakeGateway) -> None:
    done = command("chat", stdin="hi\n/model m2\nagain\n/new\n/system Be brief.\nthird\n/nonsense\n/\n/help\n")
    assert done.code == 0
    assert done.out == "four.\n" * 3
    first, second, third = [json.loads(bytes(request.body)) for _, request, _ in gateway.calls]
    assert [message["content"] for message in first["messages"]] == ["hi"]
    assert [message["content"] for message in second["messages"]] == ["hi", "four.", "again"]
    assert second["model"] == "m2"
    assert [message["content"] for message in third["messages"]] == ["Be brief.", "third"]
    assert "There is no /nonsense" in done.err
    assert "/models" in done.err


@pytest.mark.usefixtures("url")
def test_a_chat_survives_a_refusal_and_forgets_what_was_refused(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["processInferenceRequest"] = always(ContextExceeded("Too long."))
    done = command("chat", stdin="one\ntwo\n")
    assert done.code == 0
    assert done.err.count("/new") == 2
    assert [message["content"] for message in asked(gateway)["messages"]] == ["two"]


def test_what_a_model_says_does_not_act_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from hyperinfer.cli.manner import for_output

    evil = "a\x1b]0;title\x07b\x9bc\r\n\td"
    assert for_output(evil) == evil
    monkeypatch.setattr("sys.stdout", Terminal())
    assert for_output(evil) == "a]0;titlebc\n\td"
