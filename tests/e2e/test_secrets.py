"""Planted secrets: whatever goes through a running machine, no file of its own and nothing that it says has it in clear."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .conftest import ECHO, Child, Starter, environment, free_port

pytestmark = pytest.mark.slow

PASSWORDS = ("planted-password-one", "planted-password-two", "planted-password-wrong")
PROMPT = "planted-prompt-in-a-message"
OWN_TO_ITS_PERSON = "xdg"
"""The profile of the person at the machine holds that person's own key, for that person alone to read."""


class Machine:
    """A machine that is asked; it keeps every secret that it was told or that it gave out."""

    def __init__(self, up: Child, url: str) -> None:
        self.up = up
        self._url = url
        self.secrets: list[str] = [*PASSWORDS, PROMPT]

    def ask(self, method: str, path: str, body: Any = None, *, key: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as reply:
                return reply.status, _json(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _json(error.read())

    def keep(self, secret: str) -> str:
        assert len(secret) > 20
        self.secrets.append(secret)
        return secret


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode()


def test_no_secret_is_left_anywhere(start: Starter, tmp_path: Path) -> None:
    port = str(free_port())
    up = start("up", env=environment(tmp_path, PORT=port, DEBUG="1", **ECHO))
    up.until_ready()
    one = Machine(up, f"http://127.0.0.1:{port}")
    one.keep(up.fact("key"))
    password = up.fact("password").partition(" ")[0]
    one.secrets.append(password)
    status, opened = one.ask("POST", "/api/auth/login", {"username": "admin", "password": password})
    assert status == 200
    admin = one.keep(opened["access_token"])

    first = {"email": "ada@example.org", "password": PASSWORDS[0]}
    status, account = one.ask("POST", "/api/auth/register", first)
    assert status == 201
    key = one.keep(account["api_key"]["key"])
    one.ask("POST", "/api/auth/login", {**first, "password": PASSWORDS[2]})
    status, session = one.ask("POST", "/api/auth/login", first)
    assert status == 200
    token = one.keep(session["access_token"])
    status, made = one.ask("POST", "/api/auth/api-keys", {"name": "another"}, key=token)
    assert status == 201
    one.keep(made["key"])
    status, rotated = one.ask("POST", f"/api/auth/api-keys/{made['id']}/rotate", {"overlap_s": 60}, key=token)
    assert status in (200, 201)
    one.keep(rotated["key"])

    chat = {"model": "echo", "messages": [{"role": "user", "content": PROMPT}]}
    for stream in (False, True):
        assert one.ask("POST", "/v1/chat/completions", {**chat, "stream": stream}, key=key)[0] == 200
    for wrong in ({**chat, "model": PROMPT}, {**chat, "messages": PROMPT}, {**chat, PROMPT: PROMPT}):
        one.ask("POST", "/v1/chat/completions", wrong, key=key)
    one.ask("POST", "/api/inference", {"prompt": PROMPT}, key=key)
    assert one.ask("GET", f"/v1/models?api_key={key}")[0] == 400
    assert one.ask("GET", f"/v1/models/{key}", key=key)[0] == 400
    one.ask("POST", "/api/auth/login", {"email": "ada@example.org", "password": [PASSWORDS[2]]})
    one.ask("POST", "/v1/chat/completions", chat, key=key[:-1])

    change = {"current": PASSWORDS[0], "new": PASSWORDS[1]}
    assert one.ask("POST", "/api/auth/password", change, key=token)[0] in (200, 204)
    status, found = one.ask("GET", "/api/admin/users?query=ada", key=admin)
    assert status == 200, found
    status, reset = one.ask("POST", f"/api/admin/users/{found['data'][0]['id']}/reset", {}, key=admin)
    assert status in (200, 201)
    one.keep(reset["token"])
    status, invite = one.ask("POST", "/api/admin/invites", {}, key=admin)
    assert status in (200, 201)
    one.keep(invite["code"])
    assert one.ask("GET", "/api/admin/audit", key=admin)[0] == 200
    assert up.stop() == 0

    shown_to_its_person = {line for line in up.out if any(secret in line for secret in one.secrets)}
    said = [line for line in (*up.out, *up.err) if line not in shown_to_its_person]
    places: dict[str, bytes] = {"what it said": "\n".join(said).encode()}
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.relative_to(tmp_path).parts[0] != OWN_TO_ITS_PERSON:
            places[str(path.relative_to(tmp_path))] = path.read_bytes()
    assert any(name.endswith(".sqlite") for name in places)
    left = [
        (name, secret[:16]) for name, content in places.items() for secret in one.secrets if secret.encode() in content
    ]
    assert left == []


MARKS = {
    "prompt": "planted-mark-prompt",
    "model": "planted-mark-model",
    "header": "planted-mark-header",
    "query": "planted-mark-query",
    "path": "planted-mark-path",
    "field": "planted-mark-field",
    "email": "planted-mark-email@example.org",
    "password": "planted-mark-password",
    "key": "hi_plantedm_" + "k" * 43,
}
"""What is put where it belongs and where it does not; each echo is the prompt said again."""
ECHOED = {
    "path": {404},
    "prompt": {200},
    "model": {400, 404},
    "field": {400},
    "email": {200, 201, 400, 409},
    "header": {403},
}
"""Where the sender is told what it has sent: the answer of the echo, the name of a model or a field that there is not, its own account,
and the host or origin that is refused. No error tells of a prompt, a password or a key."""


def test_no_planted_mark_is_in_a_log_or_in_an_error(start: Starter, tmp_path: Path) -> None:
    port = str(free_port())
    up = start("up", env=environment(tmp_path, PORT=port, DEBUG="1", **ECHO))
    up.until_ready()
    key = up.fact("key")
    told: list[tuple[int, str]] = []
    said = {"role": "user", "content": MARKS["prompt"]}
    chat = {"model": "echo", "messages": [said]}

    def ask(method: str, path: str, body: Any = None, *, by: str = key, **headers: str) -> None:
        content = None if body is None else json.dumps(body).encode()
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {by}"} | headers
        request = urllib.request.Request(one_url + path, content, own, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as reply:
                told.append((reply.status, reply.read().decode()))
        except urllib.error.HTTPError as error:
            with error:
                told.append((error.code, error.read().decode()))

    one_url = f"http://127.0.0.1:{port}"
    header = MARKS["header"]
    for stream in (False, True):
        ask("POST", "/v1/chat/completions", {**chat, "stream": stream}, **{"X-Odd": header, "User-Agent": header})
    ask("POST", "/v1/chat/completions", {**chat, "model": MARKS["model"]})
    ask("POST", "/v1/chat/completions", {**chat, "messages": MARKS["prompt"]})
    ask("POST", "/v1/chat/completions", {**chat, "temperature": MARKS["prompt"]})
    ask("POST", "/v1/chat/completions", {**chat, "response_format": {"type": MARKS["field"]}})
    ask("POST", "/v1/chat/completions", [MARKS["prompt"]])
    ask("POST", "/v1/chat/completions", chat, by=MARKS["key"])
    ask("POST", "/v1/chat/completions", chat, Origin=f"http://{header}.example")
    ask("POST", "/v1/chat/completions", chat, Host=f"{header}.example")
    ask("POST", "/v1/chat/completions", chat, **{"X-Hyperinfer-Cache": header, "traceparent": header})
    ask("POST", "/v1/chat/completions", chat, **{"X-Request-Id": f"{header} with spaces"})
    ask("POST", "/v1/messages", {"model": MARKS["model"], "max_tokens": 5, "messages": [said]})
    ask("POST", "/api/chat", {"model": MARKS["model"], "messages": [said]})
    ask("POST", "/v1/embeddings", {"model": "echo", "input": MARKS["prompt"]})
    ask("GET", f"/v1/models?q={MARKS['query']}")
    ask("GET", f"/{MARKS['path']}")
    ask("PROPFIND", f"/v1/{MARKS['path']}")
    person = {"email": MARKS["email"], "password": MARKS["password"]}
    ask("POST", "/api/auth/register", person)
    ask("POST", "/api/auth/register", person)
    ask("POST", "/api/auth/login", {**person, "password": MARKS["password"] + "-wrong"})
    ask("POST", "/api/auth/login", {"email": MARKS["password"], "password": [MARKS["password"]]})
    asyncio.run(_over_a_socket(one_url, key, chat))
    assert up.stop() == 0

    places = {
        str(path.relative_to(tmp_path)): path.read_text(errors="replace")
        for path in (tmp_path / "logs").rglob("*.log*")
    }
    assert any('"event":"call"' in text for text in places.values())
    places["standard error"] = "\n".join(up.err)
    left = [(place, mark) for place, text in places.items() for mark in MARKS.values() if mark in text]
    assert left == []
    lines = [json.loads(line) for line in places["logs/event.log"].splitlines()]
    hidden = [line for line in lines if "[hidden]" in line.values() and line["event"] != "library_says"]
    assert hidden == [], "a field that is not declared hides what an operator may need"
    echoed = [
        (name, status, text[:200])
        for status, text in told
        for name, mark in MARKS.items()
        if mark in text and status not in ECHOED.get(name, ())
    ]
    assert echoed == []


async def _over_a_socket(url: str, key: str, chat: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-Odd": MARKS["header"]}
    async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(f"{url}/ws") as socket:
        for message in (
            json.dumps({"type": "chat", "id": MARKS["field"], "request": chat}),
            json.dumps({"type": MARKS["field"], "request": {**chat, "model": MARKS["model"]}}),
            MARKS["prompt"],
        ):
            if not socket.closed:
                await socket.send_str(message)
        async with asyncio.timeout(2):
            await socket.receive()
