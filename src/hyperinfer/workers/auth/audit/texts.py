"""Texts from outside as the audit log holds them: bounded, of one line, and with nothing in them that acts. Pure.

What a caller sends can end up in an address, a request id or a detail. A line end there would let it forge rows in an
export, a directional mark would make a row read as another, and a database may refuse what is not text at all.
"""

import re
import unicodedata
from collections.abc import Mapping

MAX_ACTION = 50
MAX_OUTCOME = 10
MAX_GATEWAY = 64
MAX_DETAILS = 16
MAX_DETAIL_NAME = 40
MAX_DETAIL = 200

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's controls, invisible marks, halves of surrogate pairs, and ends of lines and paragraphs."""
INSTEAD = "\N{REPLACEMENT CHARACTER}"
CUT = "…"
ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def harmless(text: str, most: int) -> str:
    """One line of visible text of at most `most` characters."""
    kept = text if len(text) <= most else text[: most - 1] + CUT
    return "".join(INSTEAD if unicodedata.category(char) in HARMFUL else char for char in kept)


def is_id(text: str) -> bool:
    """Whether a text can be an account's id; PostgreSQL refuses to look for anything else."""
    return ID.fullmatch(text) is not None


def cleaned(details: Mapping[str, str]) -> dict[str, str]:
    """Details as a row can hold them; those beyond `MAX_DETAILS` are left out."""
    kept = list(details.items())[:MAX_DETAILS]
    return {harmless(name, MAX_DETAIL_NAME): harmless(value, MAX_DETAIL) for name, value in kept}
