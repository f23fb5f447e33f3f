"""Names of accounts: what is valid, and a username for who gave none. Pure."""

import re
from collections.abc import Collection

from hyperinfer.errors import BadRequest

USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,48}[a-z0-9])?")
# Nothing cleverer: only a message that arrives proves an address.
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f.]+")
MAX_EMAIL = 100
MAX_USERNAME = 50
MAX_KEY_NAME = 100


def email_of(text: str) -> str:
    """An e-mail address in the form that is stored. Raises `BadRequest`."""
    email = text.strip().lower()
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email):
        raise BadRequest("This is not an e-mail address.", param="email")
    return email


def username_of(text: str) -> str:
    """A username in the form that is stored. Raises `BadRequest`."""
    username = text.strip().lower()
    if not USERNAME.fullmatch(username):
        raise BadRequest(
            f"A username has 1 to {MAX_USERNAME} letters, digits, dots, dashes and underscores, "
            "and begins and ends with a letter or digit.",
            param="username",
        )
    return username


def username_from(email: str, taken: Collection[str]) -> str:
    """A username made from an e-mail address: its first part, with a number if that is taken."""
    start = username_start(email)
    if start not in taken:
        return start
    return next(name for number in range(2, len(taken) + 3) if (name := f"{start}{number}") not in taken)


def username_start(email: str) -> str:
    """What a username made from this address begins with."""
    start = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0])[: MAX_USERNAME - 6].strip("._-")
    return start or "user"


def key_name_of(text: str) -> str:
    """A key's name. Raises `BadRequest`."""
    name = text.strip()
    if not name or len(name) > MAX_KEY_NAME or not name.isprintable():
        raise BadRequest(f"A key's name has 1 to {MAX_KEY_NAME} printable characters.", param="name")
    return name
