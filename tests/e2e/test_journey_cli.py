"""The whole journey with the command line alone: from registering to a key that is refused, on either database."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import ECHO, Child, Starter, environment, free_port, ran

pytestmark = [pytest.mark.slow]

LIMIT = 3
PASSWORD = "correct horse battery"
NEXT_PASSWORD = "another horse battery"
PROMPT = "the heron waits by the water"


@dataclass(frozen=True)
class Person:
    """Somebody with a profile of their own."""

    env: dict[str, str]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return ran(*words, env=self.env, stdin=stdin)

    def does(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed; gives its output."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shown(self, *words: str) -> Any:
        """The same, as JSON."""
        return json.loads(self.does(*words, "--json"))

    def is_refused(self, *words: str, stdin: str = "") -> str:
        """Run a command that must fail; gives the one sentence that it says."""
        done = self.run(*words, stdin=stdin)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr

    def named(self, name: str) -> "Person":
        """A profile beside this one, as on another machine."""
        return Person(self.env | {"XDG_CONFIG_HOME": f"{self.env['XDG_CONFIG_HOME']}-{name}"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def up(start: Starter, home: Path, database_url: str) -> Iterator[Child]:
    limit = {"HYPERINFER_AUTH__TIERS__DEFAULT__REQUESTS_PER_MINUTE": str(LIMIT)}
    env = environment(home, PORT=str(free_port()), DATABASE_URL=database_url, **limit, **ECHO)
    child = start("up", env=env)
    child.until_ready()
    yield child
    assert child.stop() == 0
    said = child.said + "".join(path.read_text() for path in home.rglob("*.log"))
    for secret in (PASSWORD, NEXT_PASSWORD, PROMPT, "hi_", "hc_", "hr_", "eyJ"):
        shown = [line for line in said.splitlines() if secret in line and line not in child.out]
        assert not shown, f"a log says {secret!r}: {shown[:3]}"


@pytest.fixture
def admin(up: Child, home: Path) -> Person:
    """Who started it all."""
    return Person(environment(home))


def test_from_registering_to_revoking(up: Child, admin: Person) -> None:
    url = up.fact("API").removesuffix("/v1")
    ada, laptop = admin.named("ada"), admin.named("laptop")

    said = ada.does("register", "--gateway", url, "--username", "ada", "ada@example.org", stdin=f"{PASSWORD}\n")
    assert said == f"Registered at {url} as ada, and logged in.\n"
    taken = admin.named("eve").is_refused("register", "--gateway", url, "ada@example.org", stdin=f"{PASSWORD}\n")
    assert taken == "An account with this e-mail or username exists already.\n"
    assert ada.does("logout", "--all") == f"Logged out of {url}.\n"
    assert "You are not logged in" in ada.is_refused("keys", "list")
    assert ada.is_refused("login", "ada", stdin="wrong horse\n") == "Wrong name or password.\n"
    assert ada.does("login", "ada", stdin=f"{PASSWORD}\n") == f"Logged in to {url} as ada.\n"
    assert ada.shown("account", "show")["tier"] == "default"

    key = ada.does("keys", "create", "laptop", "--expires", "30d", "--model", "echo")
    assert key.startswith("hi_")
    assert sorted(row["name"] for row in ada.shown("keys", "list")) == ["default", "laptop"]
    laptop.does("login", "--key", "--gateway", url, stdin=key)

    first_at = time.time()
    for _ in range(LIMIT):
        assert laptop.does("ask", PROMPT) == f"{PROMPT}\n"
    refusal = laptop.run("ask", PROMPT)
    free_in_s = first_at + 60 - time.time()
    assert (refusal.returncode, refusal.stdout.strip()) == (1, "")
    found = re.fullmatch(
        rf"You have used your {LIMIT} requests a minute\. Try again in (\d+) s\.", refusal.stderr.strip()
    )
    assert found, refusal.stderr
    assert free_in_s - 1 <= int(found[1]) <= free_in_s + 3
    a_minute = next(row for row in laptop.shown("quota")["limits"] if row["limit"] == LIMIT)
    assert (a_minute["used"], a_minute["remaining"]) == (LIMIT, 0)

    deadline = time.monotonic() + 10
    while (usage := ada.shown("usage", "--group", "key"))["total"]["requests"] != LIMIT:
        assert time.monotonic() < deadline, usage
    assert usage["total"]["completion_tokens"] == LIMIT * len(PROMPT.split())
    assert [row["label"] for row in usage["rows"]] == ["laptop"]
    assert ada.does("usage", "--csv").splitlines()[1].split(",")[2] == str(LIMIT)
    assert len(ada.shown("usage", "requests")) == LIMIT
    assert laptop.shown("usage")["total"]["requests"] == LIMIT  # a key sees its own

    assert "(laptop) is revoked" in ada.does("keys", "revoke", "laptop")
    assert laptop.is_refused("models") == "This API key has been revoked. `hyperinfer login` opens a new session.\n"
    assert "has been revoked" in laptop.run("ask", PROMPT).stderr


def test_a_key_is_rotated_and_sessions_end_with_the_password(up: Child, admin: Person) -> None:
    url = up.fact("API").removesuffix("/v1")
    ada, phone = admin.named("ada"), admin.named("phone")
    ada.does("register", "--gateway", url, "ada@example.org", stdin=f"{PASSWORD}\n")
    phone.does("login", "--gateway", url, "ada", stdin=f"{PASSWORD}\n")
    assert [one["current"] for one in ada.shown("sessions", "list")] == [False, True]

    new = ada.does("keys", "rotate", "default", "--overlap", "0m").strip()
    assert [row["is_active"] for row in ada.shown("keys", "list")] == [True, False]
    assert ada.does("ask", PROMPT) == f"{PROMPT}\n"  # with the new one, which the profile has taken up
    assert new in (Path(ada.env["XDG_CONFIG_HOME"]) / "hyperinfer" / "profile.json").read_text()

    ada.does("password", stdin=f"{PASSWORD}\n{NEXT_PASSWORD}\n")
    assert "`hyperinfer login`" in phone.is_refused("account")
    assert [one["current"] for one in ada.shown("sessions", "list")] == [True]
    assert json.loads(ada.does("account", "export"))["account"]["email"] == "ada@example.org"
    ada.does("account", "delete", stdin=f"ada\n{NEXT_PASSWORD}\n")
    assert ada.is_refused("login", "ada", stdin=f"{NEXT_PASSWORD}\n") == "Wrong name or password.\n"


def test_an_administrator_invites_limits_resets_and_deactivates(up: Child, admin: Person) -> None:
    url, password = up.fact("API").removesuffix("/v1"), up.fact("password").split()[0]
    assert "Log in first" in admin.is_refused("sessions", "list")
    assert "lacks the scope 'admin'" in admin.is_refused("users", "list")
    admin.does("login", "admin", stdin=f"{password}\n")

    code = admin.does("users", "invite", "--email", "ada@example.org", "--tier", "premium").strip()
    ada = admin.named("ada")
    ada.does("register", "--gateway", url, "--code", code, "ada@example.org", stdin=f"{PASSWORD}\n")
    assert [one["state"] for one in admin.shown("users", "invites")] == ["used"]
    assert [(one["username"], one["tier"]) for one in admin.shown("users", "list", "ada")] == [("ada", "premium")]
    assert "for administrators" in ada.is_refused("users", "list")

    admin.does("users", "update", "ada", "--limit", "requests-per-minute=1")
    assert ada.does("ask", PROMPT) == f"{PROMPT}\n"
    assert "1 request a minute" in ada.run("ask", PROMPT).stderr
    deadline = time.monotonic() + 10
    while not (rows := admin.shown("usage", "--user", "ada", "--group", "user")["rows"]):
        assert time.monotonic() < deadline
    assert [(row["label"], row["requests"]) for row in rows] == [("ada", 1)]

    token = admin.does("users", "reset-password", "ada").strip()
    ada.does("reset", "--gateway", url, stdin=f"{token}\n{NEXT_PASSWORD}\n")
    assert "not valid" in ada.is_refused("reset", "--gateway", url, stdin=f"{token}\n{PASSWORD}\n")
    assert "`hyperinfer login`" in ada.is_refused("account")
    ada.does("login", "ada", stdin=f"{NEXT_PASSWORD}\n")
    admin.does("users", "update", "ada", "--deactivate")
    assert "deactivated" in ada.is_refused("login", "ada", stdin=f"{NEXT_PASSWORD}\n")
    admin.does("users", "delete", "ada", "--yes")
    assert [one["username"] for one in admin.shown("users", "list")] == ["admin"]
