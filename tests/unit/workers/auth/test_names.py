"""Names of names."""

import pytest

from hyperinfer.errors import BadRequest
from hyperinfer.workers.auth import names


@pytest.mark.parametrize(
    "text", ["", "a", "a@b", "@b.c", "a@@b.c", "a b@c.d", "a@b.c\nd@e.f", "a@b.", "\ud800@b.c", "x" * 95 + "@b.com"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        names.email_of(text)
    assert caught.value.details == {"param": "email"}


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "ä", "a@b", "x" * 51, "a\n\nb", "a/b", "\ud800"])
def test_what_is_no_username_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        names.username_of(text)
    assert caught.value.details == {"param": "username"}


def test_names_are_compared_in_one_form() -> None:
    assert names.username_of(" Ada.L ") == "ada.l"
    assert names.email_of(" Ada@Example.ORG\n") == "ada@example.org"
    assert names.email_of("\uff41da@example.org") == "ada@example.org"  # a full-width letter looks the same


@pytest.mark.parametrize(
    ("email", "first"),
    [
        ("ada@x.org", "ada"),
        ("a+b c@x.org", "a-b-c"),
        ("ü@x.org", "user"),
        ("..@x.org", "user"),
        ("x" * 64 + "@x.org", "x" * 42),
    ],
)
def test_a_username_is_made_from_the_address(email: str, first: str) -> None:
    tried = list(names.usernames_from(email))
    assert tried[0] == first
    assert len(set(tried)) == 4
    for name in tried:
        assert name.startswith(first)
        assert names.username_of(name) == name


def test_no_reserved_username_is_made_up() -> None:
    for name in names.RESERVED_NAMES:
        assert not names.RESERVED_NAMES & set(names.usernames_from(f"{name}@x.org"))


@pytest.mark.parametrize(
    ("email", "username"), [("ada@x.org", "admin"), ("ada@x.org", "root"), ("admin@hyperinfer.local", None)]
)
def test_reserved_names_are_refused(email: str, username: str | None) -> None:
    with pytest.raises(BadRequest, match="reserved"):
        names.check_not_reserved(email, username)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "\ud800"])
def test_a_key_needs_a_name(name: str) -> None:
    with pytest.raises(BadRequest):
        names.key_name_of(name)
