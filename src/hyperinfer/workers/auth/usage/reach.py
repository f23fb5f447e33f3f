"""Whose usage somebody may see."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from hyperinfer.workers.auth.actors import Acting
from hyperinfer.workers.auth.audit.texts import is_id

WHOLE_ACCOUNT = "account"
"""The scope with which an API key sees the usage of the whole account."""


@dataclass(frozen=True, slots=True)
class Reach:
    """An account, or one of its keys alone; what is none is not narrowed by it."""

    user_id: str | None = None
    key_id: str | None = None

    def conditions(
        self, user_column: InstrumentedAttribute[str | None], key_column: InstrumentedAttribute[str | None]
    ) -> list[ColumnElement[bool]]:
        """What rows within reach fulfil."""
        wanted = ((user_column, self.user_id), (key_column, self.key_id))
        return [column == value for column, value in wanted if value is not None]

    @property
    def is_possible(self) -> bool:
        """Whether there can be anything; PostgreSQL refuses to look for what is no id."""
        return all(value is None or is_id(value) for value in (self.user_id, self.key_id))


EVERYBODY = Reach()


def reach_of(acting: Acting) -> Reach:
    """What somebody sees of their own: all of it, but with an API key that may not manage the account, what that key
    has used."""
    key = acting.key
    if key is None or WHOLE_ACCOUNT in key.scopes:
        return Reach(user_id=acting.user.id)
    return Reach(user_id=acting.user.id, key_id=key.id)
