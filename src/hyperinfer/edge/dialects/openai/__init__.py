"""OpenAI's API, the dialect in which the swarm itself speaks: chat, completions, embeddings and the list of models."""

from hyperinfer.edge.dialects import Dialect
from hyperinfer.edge.dialects.openai.described import GROUP
from hyperinfer.edge.dialects.openai.passed_on import READERS

DIALECT = Dialect(GROUP, READERS)
