"""The keyed hash under which prompts are known: the same prompt has the same hash, and nobody can guess it from that."""

import hmac
from pathlib import Path

from hyperinfer.kernel.files import make_secret, read_secret

FILE = "prompt.key"
KEY_BYTES = 32
WHAT = "the key of prompt hashes"


class PromptHash:
    """HMAC-SHA256 under a key that stays with this gateway."""

    def __init__(self, key: bytes) -> None:
        # The digest of the key alone: to begin with it anew costs more than a short prompt.
        self._begun = hmac.new(key, digestmod="sha256")

    @classmethod
    def of_folder(cls, folder: Path) -> "PromptHash":
        """The hash of a data folder, whose key is made once. Raises `IdentityError`."""
        path = folder / FILE
        if not path.exists():
            make_secret(path, KEY_BYTES, WHAT)
        return cls(read_secret(path, KEY_BYTES, WHAT, no_backup="remove it: prompts get other hashes from then on"))

    def __call__(self, prompt: bytes | memoryview) -> str:
        """The hash of a prompt as its sender wrote it, in hexadecimal."""
        hashed = self._begun.copy()
        hashed.update(prompt)
        return hashed.hexdigest()
