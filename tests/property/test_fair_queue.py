"""The fair queue against a plain list: nothing is lost or doubled, turns are fair, and who is told a place has it at worst."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hyperinfer.contracts.inference import Priority
from hyperinfer.workers.inference.fair_queue import BATCH_SHARE, FairQueue, Full

users = st.sampled_from("abcde")
priorities = st.sampled_from(("interactive", "interactive", "batch"))

Item = tuple[str, Priority, int]


class Queueing(RuleBasedStateMachine):
    """Users come, are served, and leave."""

    @initialize(limit=st.integers(0, 20))
    def begin(self, limit: int) -> None:
        self.queue: FairQueue[Item] = FairQueue(limit)
        self.limit = limit
        self.waiting: list[Item] = []
        self.turns_of_others: dict[Item, Counter[str]] = {}
        self.promised: dict[Item, int] = {}
        self.interactive_turns = 0
        self.number = 0

    @rule(user=users, priority=priorities)
    def come(self, user: str, priority: Priority) -> None:
        item = (user, priority, self.number)
        self.number += 1
        ahead = self.queue.ahead(user, priority)
        try:
            lost = self.queue.push(user, item, priority)
        except Full:
            assert len(self.waiting) >= self.limit
            shares = Counter(name for name, kind, _ in self.waiting if kind == priority)
            assert max(shares.values(), default=0) <= shares[user] + 1, "who has fewer gets a place"
            return
        if lost is not None:
            assert len(self.waiting) == self.limit
            self.forget(lost)
            same = [one for one in self.waiting if one[:2] == lost[:2]]
            assert all(one[2] < lost[2] for one in same), "the newest loses its place"
        elif len(self.waiting) < self.limit:
            self.promised[item] = ahead
        self.waiting.append(item)
        self.turns_of_others[item] = Counter()
        # Who comes later may be served earlier: then what others were promised is no more.
        self.promised = {one: place for one, place in self.promised.items() if one == item}

    @precondition(lambda self: self.waiting)
    @rule()
    def serve(self) -> None:
        item = self.queue.pop()
        user, priority, _ = item
        self.forget(item)
        assert all(one[2] > item[2] for one in self.waiting if one[:2] == item[:2]), "in order within a lane"
        for other, turns in self.turns_of_others.items():
            if other[1] == priority and other[0] != user:
                turns[user] += 1
                own_before = sum(one[:2] == other[:2] and one[2] < other[2] for one in self.waiting)
                assert own_before or turns[user] <= 1, "nobody has a second turn before my first"
            elif other[:2] == item[:2]:
                turns.clear()  # my lane's turn: the others may have theirs again
        for other in self.promised:
            self.promised[other] -= 1
            assert self.promised[other] >= 0, "no more come before me than I was told"
        if priority == "batch" or not self.waits("batch"):
            self.interactive_turns = 0
        else:
            self.interactive_turns += 1
            assert self.interactive_turns < BATCH_SHARE

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.waiting))
        self.queue.remove(item[0], item, item[1])
        self.queue.remove(item[0], item, item[1])
        self.forget(item)
        if not self.waits("batch"):
            self.interactive_turns = 0

    @rule(user=users, priority=priorities)
    def pass_by(self, user: str, priority: Priority) -> None:
        if not self.waiting:
            self.queue.served(user, priority)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.queue) == len(self.waiting) <= self.limit

    def waits(self, priority: Priority) -> bool:
        return any(kind == priority for _, kind, _ in self.waiting)

    def forget(self, item: Item) -> None:
        self.waiting.remove(item)
        self.turns_of_others.pop(item, None)
        self.promised.pop(item, None)


TestQueueing = Queueing.TestCase
