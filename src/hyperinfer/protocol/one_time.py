"""Codes that do one thing once: `hr_` sets a new password, `hc_` allows to register. Pure.

They are built as API keys are: 43 characters of base62 (256 bits) and a checksum, so that a scanner knows them and a
mistyped one is told from a used one without asking anybody. Only the SHA-256 is stored.
"""

import re

from hyperinfer.protocol.api_keys import CHECKSUM_LENGTH, SECRET_LENGTH, checksum, digest, random_text

RESET = "hr_"
REGISTRATION = "hc_"

_FORM = re.compile(rf"h[rc]_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}")


def mint(prefix: str) -> str:
    """A new code."""
    body = prefix + random_text(SECRET_LENGTH)
    return body + checksum(body)


def digest_of(text: str, prefix: str) -> str | None:
    """What is stored of a code; nothing for a text that is none of this kind."""
    well_formed = _FORM.fullmatch(text) is not None and text.startswith(prefix)
    if not well_formed or checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return digest(text)
