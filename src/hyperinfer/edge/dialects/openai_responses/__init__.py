"""OpenAI's Responses API, on top of chat. Nothing is kept between requests."""

from hyperinfer.edge.dialects import Dialect
from hyperinfer.edge.dialects.openai_responses.described import GROUP, RESPONSES
from hyperinfer.edge.dialects.openai_responses.reading import read

DIALECT = Dialect(GROUP, {RESPONSES: read})
