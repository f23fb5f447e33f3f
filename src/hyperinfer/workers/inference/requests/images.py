"""Images in a request: only those that it carries itself. Nothing here ever fetches one."""

import base64
import binascii

from hyperinfer.errors import BadRequest
from hyperinfer.workers.inference.requests.refusals import unsupported

MAX_IMAGE_BYTES = 6 * 1024 * 1024
MAX_SHOWN_CHARS = 20
BEGINNINGS = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""How files of each type begin."""


def check(url: str, param: str) -> None:
    """Raise `Unsupported` for an image that would have to be fetched, `BadRequest` for one that is none."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "data":
        said = scheme[:MAX_SHOWN_CHARS] if rest else "without a scheme"
        raise unsupported(
            param, f"Images are taken as data: URLs only, not {said!r}: put the image itself in, in base64."
        )
    head, comma, data = rest.partition(",")
    kind, _, coding = head.partition(";")
    beginnings = BEGINNINGS.get(kind.lower())
    if beginnings is None or not comma or coding.lower() != "base64":
        raise BadRequest(f"{param} may be data:TYPE;base64,… with TYPE one of {', '.join(BEGINNINGS)}.", param=param)
    if len(data) * 3 // 4 > MAX_IMAGE_BYTES:
        raise BadRequest(f"{param} may have {MAX_IMAGE_BYTES // 1024 // 1024} MiB.", param=param)
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{param} is not valid base64.", param=param) from error
    if not content.startswith(beginnings):
        raise BadRequest(f"{param} says {kind} and is none.", param=param)
