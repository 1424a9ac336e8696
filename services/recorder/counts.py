"""What each engine has said so far, and in whose log: what is new in an entry, and what must not be there.

(rank, seq) is the count of each engine: what has been passed is skipped, a jump is a fault that ends the recording.

A rank is one engine, and an engine has one role. The recorder knows no plan, so it cannot know which; but a log lies
under the roles of its process, and permissions are given for them. So an engine must have one of the roles that all
logs in which it has spoken have in common; a record that leaves it none is rejected. Whoever speaks for an engine
first is believed.

A record whose message cannot be read (of a newer release, or of a forger) does not use up its count at once. If the
engine's next record goes on beyond it, the engine did say it: the count is then held for used, and the record stays
among the rejected. If the count comes again with a message that can be read, the unreadable one was not the engine's.
"""

from __future__ import annotations

from services.recorder.records import LogEntry, Record, Rejected
from services.recorder.state import Place

UNREAD_MAX = 1_000
"""How far beyond an engine's last count that of an unreadable record is remembered."""

UNREAD_RANKS_MAX = 64
"""Engines for which that is done."""


class Jump(Exception):
    """An engine's count goes on beyond what is expected: a record is missing. The text says which."""


def admit(place: Place, entry: LogEntry) -> tuple[list[Record | Rejected], int]:
    """(what of the entry is new, how many of its records are not). Moves the counts of `place`; raises Jump."""
    new: list[Record | Rejected] = []
    duplicates = 0
    for item in entry.records:
        if isinstance(item, Rejected):
            _remember(place, item, entry.roles)
            new.append(item)
            continue
        roles = _roles_left(place, item.rank, entry.roles)
        if not roles:
            new.append(_refused(place, item, entry))
        elif item.seq <= place.ranks.get(item.rank, 0):
            duplicates += 1
        else:
            _count(place, item)
            place.roles[item.rank] = roles
            new.append(item)
    return new, duplicates


def _count(place: Place, record: Record) -> None:
    rank, passed = record.rank, place.ranks.get(record.rank, 0)
    if record.seq != passed + 1 and not _all_unread(place, rank, passed + 1, record.seq):
        raise Jump(
            f"engine {rank} said message {record.seq} after message {passed} (stream sequence {record.stream_seq}, "
            f"record {record.index}): what is between is not in the stream"
        )
    place.unread.pop(rank, None)
    place.ranks[rank] = record.seq


def _all_unread(place: Place, rank: int, first: int, end: int) -> bool:
    """Whether each count from `first` to below `end` is that of a record that could not be read."""
    unread = place.unread.get(rank, [])
    return end - first <= len(unread) and all(seq in unread for seq in range(first, end))


def _remember(place: Place, rejected: Rejected, roles: tuple[str, ...]) -> None:
    """An unreadable record may have used up its count."""
    rank, seq = rejected.rank, rejected.seq
    if rank is None or seq is None or not _roles_left(place, rank, roles):
        return
    if 0 < seq - place.ranks.get(rank, 0) <= UNREAD_MAX:
        unread = place.unread
        if rank in unread or len(unread) < UNREAD_RANKS_MAX:
            counts = unread.setdefault(rank, [])
            if seq not in counts:
                counts.append(seq)


def _roles_left(place: Place, rank: int, roles: tuple[str, ...]) -> list[str]:
    """The roles that an engine can have if it speaks in a log of `roles` too."""
    known = place.roles.get(rank)
    return list(roles) if known is None else [role for role in known if role in roles]


def _refused(place: Place, record: Record, entry: LogEntry) -> Rejected:
    known, serves = " or ".join(place.roles[record.rank]), " and ".join(entry.roles)
    reason = (
        f"engine {record.rank} has the role {known}, by the logs in which it has spoken, and {entry.process} serves "
        f"{serves}"
    )
    ids = (record.rank, record.seq)
    return Rejected(record.stream_seq, record.index, entry.subject, "authority", reason[:1000], record.payload, *ids)
