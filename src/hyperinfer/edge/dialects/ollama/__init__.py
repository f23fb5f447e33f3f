"""Ollama's API in front of the swarm, for programs that speak no other: chats, prompts and embeddings become OpenAI's and back.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md, and answers recorded from 0.32.15.
"""

from hyperinfer.edge.dialects import Dialect
from hyperinfer.edge.dialects.ollama.described import GROUP
from hyperinfer.edge.dialects.ollama.errors import body_of
from hyperinfer.edge.dialects.ollama.reading import READERS

DIALECT = Dialect(GROUP, READERS, body_of)
