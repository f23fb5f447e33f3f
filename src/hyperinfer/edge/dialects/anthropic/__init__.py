"""Anthropic's messages API, spoken in front of chat."""

from hyperinfer.edge.dialects import Dialect
from hyperinfer.edge.dialects.anthropic.described import GROUP, MESSAGES
from hyperinfer.edge.dialects.anthropic.errors import body_of
from hyperinfer.edge.dialects.anthropic.read import read

DIALECT = Dialect(GROUP, {MESSAGES: read}, error=body_of, id_header=b"request-id")
