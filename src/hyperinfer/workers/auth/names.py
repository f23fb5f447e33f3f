"""Names of accounts: what is valid, and a username for who gave none. Pure."""

import re
import secrets
import unicodedata
from collections.abc import Iterator

from hyperinfer.errors import BadRequest

USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,48}[a-z0-9])?")
# Nothing cleverer: only a message that arrives proves an address.
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f.]+")
MAX_EMAIL = 100
MAX_USERNAME = 50
MAX_KEY_NAME = 100

RESERVED_NAMES = frozenset({"admin", "administrator", "hyperinfer", "root", "system"})
RESERVED_DOMAIN = "hyperinfer.local"
"""Where accounts live that the machine itself makes, such as the first administrator's."""

MADE_UP_DIGITS = (4, 6, 8)
MADE_UP_START = MAX_USERNAME - max(MADE_UP_DIGITS)


def email_of(text: str) -> str:
    """An e-mail address in the form that is stored. Raises `BadRequest`."""
    email = name_of(text)
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email) or not _encodable(email):
        raise BadRequest("This is not an e-mail address.", param="email")
    return email


def username_of(text: str) -> str:
    """A username in the form that is stored. Raises `BadRequest`."""
    username = name_of(text)
    if not USERNAME.fullmatch(username):
        raise BadRequest(
            f"A username has 1 to {MAX_USERNAME} letters, digits, dots, dashes and underscores, "
            "and begins and ends with a letter or digit.",
            param="username",
        )
    return username


def name_of(text: str) -> str:
    """A username or e-mail as it is looked up: what looks alike to a person is alike."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def check_not_reserved(email: str, username: str | None) -> None:
    """Raise `BadRequest` for names that are kept for accounts of the machine's own."""
    if username in RESERVED_NAMES:
        raise BadRequest("This username is reserved; choose another.", param="username")
    if email.endswith(f"@{RESERVED_DOMAIN}"):
        raise BadRequest("Addresses at this domain are reserved; use one of your own.", param="email")


def usernames_from(email: str) -> Iterator[str]:
    """Usernames made from an e-mail address, to be tried in turn: its first part, then that with more and more digits."""
    start = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0])[:MADE_UP_START].strip("._-") or "user"
    if start not in RESERVED_NAMES:
        yield start
    for digits in MADE_UP_DIGITS:
        yield f"{start}{secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1)}"


def key_name_of(text: str) -> str:
    """A key's name. Raises `BadRequest`."""
    name = text.strip()
    if not name or len(name) > MAX_KEY_NAME or not name.isprintable():
        raise BadRequest(f"A key's name has 1 to {MAX_KEY_NAME} printable characters.", param="name")
    return name


def _encodable(text: str) -> bool:
    """Whether it is text that UTF-8 can write: Python's strings may hold half of a pair of surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
