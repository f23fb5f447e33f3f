"""Which worker has a conversation's beginning in its prompt cache: told from who answered it last."""

from collections import OrderedDict
from functools import cached_property
from hashlib import blake2b

import msgspec
from msgspec import Raw

from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.gateway.asked import Asked
from hyperinfer.workers.gateway.offers import Offer

REMEMBERED = 20_000
"""Beginnings that are remembered at most."""
KEPT_S = 900.0
"""For how long; a busy engine has given its memory to others by then."""
LEAST_BYTES = 512
"""A shorter prompt is read so fast that it is not worth sending it anywhere."""
BEGINNINGS = 16
"""How many messages a follow-up may have added at most."""

_messages = msgspec.json.Decoder(tuple[Raw, ...])


class Affinity:
    """What tells a request's conversation from every other one: the key that its sender gave it (`prompt_cache_key`), or
    the messages that it begins with. Worked out only if somebody asks, for most swarms have one worker for a model."""

    def __init__(self, user_id: str, asked: Asked) -> None:
        self._user_id = user_id
        self._asked = asked

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """A digest for each beginning, that of all messages first; nothing where there is no use in it."""
        asked = self._asked
        seen = blake2b(self._user_id.encode(), digest_size=16)
        if asked.prompt_cache_key:
            seen.update(b"\0" + asked.prompt_cache_key.encode(errors="replace"))
            return (seen.digest(),)
        if len(asked.messages) < LEAST_BYTES:
            return ()
        try:
            messages = _messages.decode(asked.messages)
        except msgspec.DecodeError:
            return ()  # the worker says what is wrong with it
        digests = []
        for number, message in enumerate(messages, start=1):
            seen.update(message)
            if number > len(messages) - BEGINNINGS:
                digests.append(seen.copy().digest())
        return tuple(reversed(digests))


class Conversations:
    """Who answered which conversation last, by model. Bounded in number and time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, bytes], tuple[Offer, float]] = OrderedDict()

    def find(self, model: str, affinity: Affinity) -> Offer | None:
        """Who answered the longest beginning that is remembered."""
        for digest in affinity.digests:
            found = self._known.get((model, digest))
            if found is not None and found[1] > self._clock.monotonic():
                return found[0]
        return None

    def answered(self, offer: Offer, affinity: Affinity) -> None:
        """This offer has read all messages of a request."""
        if not affinity.digests:
            return
        key = offer.status.name, affinity.digests[0]
        self._known[key] = offer, self._clock.monotonic() + KEPT_S
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
