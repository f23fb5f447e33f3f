"""What a model must be able to do for a request, as far as the gateway can tell at a glance. Pure.

It is for choosing among workers that differ. What none of them can do is refused by the worker, which names it.
"""

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.workers.gateway.asked import NOTHING, Asked

NO_NEEDS: frozenset[str] = frozenset()
CONTINUES = frozenset({"continues"})
"""What a model must be able to do to go on with an answer."""
KINDS = {kind: frozenset({kind}) for kind in ("chat", "completion", "embedding")}
IMAGE = b'"image_url"'


def needs_of(request: ProcessRequest, asked: Asked) -> frozenset[str]:
    """Capabilities by their names in `ModelStatus`."""
    kind = request.kind
    if kind != "chat":
        return KINDS[kind]
    further = [] if request.continues is None else [*CONTINUES]
    if bytes(asked.tools) not in NOTHING:
        further.append("tools")
    if asked.response_format is not None and asked.response_format.type != "text":
        further.append("json")
    if bytes(asked.logprobs) not in NOTHING:
        further.append("logprobs")
    if IMAGE in bytes(asked.messages):
        further.append("vision")
    return KINDS[kind].union(further) if further else KINDS[kind]
