"""What a line of a chat is."""

import pytest

from hyperinfer.cli.conversation.words import HELP, NAMES, OLD, Order, is_secret, parse


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("/model qwen", Order("model", "qwen")),
        ("/system Be brief, please.", Order("system", "Be brief, please.")),
        ("/quit", Order("exit")),
        ("/", Order("")),
        ("register a@b.c horse", Order("register", "a@b.c horse")),
        ("login  a@b.c   horse", Order("login", "a@b.c horse")),
        ("login", Order("login")),
        ("settoken hi_x", Order("settoken", "hi_x")),
        ("status", Order("status")),
        ("help", Order("help")),
        ("exit", Order("exit")),
    ],
)
def test_orders(line: str, order: Order) -> None:
    assert parse(line) == order


@pytest.mark.parametrize(
    "line",
    [
        "login pages are hard",
        "Login a b",
        "help me with this",
        "exit codes",
        "status?",
        "Help",
        "status of what",
        "what is /model",
        "/model\nis a path",
        "login\na b",
        "gettoken now",
    ],
)
def test_prompts(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    "line", ["login a b", "register a b", "/settoken x", "login with a password", "LOGIN a b", "settoken"]
)
def test_what_may_hold_a_password_is_kept_nowhere(line: str) -> None:
    assert is_secret(line)


def test_other_lines_are_kept() -> None:
    assert not any(is_secret(line) for line in ("", "  ", "hello", "how does a login work?", "/model x"))


def test_the_help_names_every_order_and_fits() -> None:
    assert all(f"/{name}" in HELP for name in NAMES if name not in OLD or name in ("login", "register"))
    assert all(name in HELP for name in OLD)
    assert max(map(len, HELP.splitlines())) <= 80
