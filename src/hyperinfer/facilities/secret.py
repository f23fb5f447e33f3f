"""How a setting is marked as a secret, in a facility's settings too: what shows settings masks it."""

from typing import Annotated

import msgspec

SECRET = msgspec.Meta(extra={"secret": True})
Secret = Annotated[str, SECRET]
