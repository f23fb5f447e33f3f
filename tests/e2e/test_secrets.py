"""Planted secrets: whatever goes through a running machine, no file of its own and nothing that it says has it in clear."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

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
