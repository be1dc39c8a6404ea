"""Importing: every row is read first, then those that are facts are recorded in the order of time, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..events import Fact, microseconds
from ..hookspecs import ChannelType
from ..ledger import Ledger, rehearse
from ..model import Project
from .rows import Refused, Row, RowReader
from .sorting import chunks, sort

PART = 2_000
"""Rows that are recorded in one transaction."""

_LATE = 1 << 62  # rows without a date are answers of now: they come after all others


@dataclass(slots=True)
class Outcome:
    """What became of a file's rows; ``refused`` is by row."""

    read: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: list[Refused] = field(default_factory=list)


def import_answers(
    project: Project,
    channel_types: Mapping[str, ChannelType],
    ledger: Ledger,
    rows: Iterable[Row],
    *,
    dry_run: bool = False,
    allow_resubscribe: bool = False,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Record the answers in ``rows``; with ``dry_run``, find out what that would do and record nothing.

    Memory is bounded by the refused rows. What is recorded before an error stays recorded, and a second try finds it
    unchanged. Without ``allow_resubscribe`` a yes is refused that would overturn the person's own no.
    """
    outcome = Outcome()
    reader = RowReader(project, channel_types, datetime.now(UTC))
    facts = _facts(rows, reader, outcome, progress)
    with rehearse(ledger) if dry_run else nullcontext(ledger) as target:
        for part in chunks(sort(facts), PART):
            heard = part if allow_resubscribe else _without_own_choices(target, part, outcome)
            changed = sum(event is not None for event in target.append([fact for _, _, fact in heard]))
            outcome.changed += changed
            outcome.unchanged += len(heard) - changed
            progress(outcome)
    outcome.refused.sort()
    return outcome


def _facts(
    rows: Iterable[Row], reader: RowReader, outcome: Outcome, progress: Callable[[Outcome], None]
) -> Iterator[tuple[int, int, Fact]]:
    for number, row in enumerate(rows, 1):
        outcome.read = number
        if number % PART == 0:
            progress(outcome)
        try:
            fact = reader.fact(row)
        except ValueError as reason:
            outcome.refused.append(Refused(number, str(reason)))
            continue
        yield (microseconds(fact.occurred_at) if fact.occurred_at else _LATE), number, fact


def _without_own_choices(
    ledger: Ledger, part: list[tuple[int, int, Fact]], outcome: Outcome
) -> list[tuple[int, int, Fact]]:
    overturning = ledger.overturns_own_choice([fact for _, _, fact in part])
    for (_, number, fact), refused in zip(part, overturning, strict=True):
        if refused:
            who = fact.address or f"profile {fact.profile}"
            message = f"{who} left by their own choice; --allow-resubscribe brings them back"
            outcome.refused.append(Refused(number, message))
    return [item for item, refused in zip(part, overturning, strict=True) if not refused]
