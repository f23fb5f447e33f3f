"""What a request asks for, and whether a model can give it: what it cannot is refused by name, never left out."""

from hyperinfer.workers.inference.requests.chat import text_of
from hyperinfer.workers.inference.requests.estimate import estimate
from hyperinfer.workers.inference.requests.read import Request, read
from hyperinfer.workers.inference.requests.split import split

__all__ = ["Request", "estimate", "read", "split", "text_of"]
