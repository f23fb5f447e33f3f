"""Heads of the audit log that have been kept elsewhere: by a member, or by an operator who wrote one down."""

import re
from datetime import datetime
from pathlib import Path

import msgspec

from hyperinfer.contracts.audit import HEAD, AuditHead
from hyperinfer.errors import BadRequest, Untrusted
from hyperinfer.kernel.membership import file as member_file

PAIR = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
MAX_HEADS_BYTES = 16 * 1024 * 1024


def given_heads(text: str, *, swarm: Path, now: datetime) -> tuple[AuditHead, ...]:
    """The heads that somebody has kept elsewhere: `SEQ:LINK`, a copy of a member's `members.json`, or a file of heads.

    Raises `BadRequest` for what holds none, or a member list that is not signed by this swarm's auth.
    """
    if pair := PAIR.fullmatch(text.strip()):
        return (AuditHead(seq=int(pair[1]), link=pair[2], at=now),)
    path = Path(text)
    try:
        if path.stat().st_size > MAX_HEADS_BYTES:
            raise BadRequest(f"{path} is too large to hold heads of the audit log.", param="head")
        content = path.read_bytes()
    except OSError as error:
        raise BadRequest(f"{text} is neither SEQ:LINK nor a file to read: {error.strerror}.", param="head") from error
    try:
        found = tuple(msgspec.json.decode(line, type=AuditHead) for line in content.splitlines() if line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = ()
    return found or (_head_of_member(path, content, swarm),)


def _head_of_member(path: Path, content: bytes, swarm: Path) -> AuditHead:
    """The head that came with a member list, which somebody may have changed on its way here."""
    try:
        found = msgspec.json.decode(content, type=member_file.MemberFile)
        extra = member_file.prove(swarm, found.published).list.extra
        return msgspec.json.decode(extra[HEAD], type=AuditHead)
    except Untrusted as error:
        raise BadRequest(f"{path} is no member list of this swarm: {error.message}", param="head") from error
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        raise BadRequest(f"{path} holds no head of the audit log.", param="head") from error


def sent_along(swarm: Path) -> AuditHead | None:
    """The head in the member list of this machine, if there is one."""
    try:
        signed = msgspec.json.decode((swarm / member_file.FILE).read_bytes(), type=member_file.MemberFile).signed
        return msgspec.json.decode(signed.extra[HEAD], type=AuditHead) if signed else None
    except (OSError, KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None  # a list that makes no sense is its own complaint, and proves nothing
