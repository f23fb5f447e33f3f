"""Pieces of answers into OpenAI's JSON, stamped with what the gateway chose: chunk by chunk, or as one object."""

from hyperinfer.workers.inference.answers.embedded import embeddings
from hyperinfer.workers.inference.answers.stamp import Stamp
from hyperinfer.workers.inference.answers.streamed import StreamedAnswer
from hyperinfer.workers.inference.answers.whole import WholeAnswer

Answer = StreamedAnswer | WholeAnswer

__all__ = ["Answer", "Stamp", "StreamedAnswer", "WholeAnswer", "embeddings"]
