"""Importing: every row is read first, then those that are facts are recorded in the order of time, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..events import Fact, Source, microseconds
from ..hookspecs import ChannelType
from ..ledger import Ledger, rehearse
from ..model import Project
from .rows import Answer, Refused, Row, RowReader
from .sorting import chunks, sort

PART = 10_000
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
    source: Source = "import",
    dry_run: bool = False,
    allow_resubscribe: bool = False,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Record the answers in ``rows`` as ``source``'s; with ``dry_run``, find out what that would do and record nothing.

    Memory is bounded by the refused rows. What is recorded before an error stays recorded, and a second try finds it
    unchanged. Without ``allow_resubscribe`` a yes is refused that would overturn the person's own no.
    """
    outcome = Outcome()
    reader = RowReader(project, channel_types, datetime.now(UTC), source)
    answers = _answers(rows, reader, outcome, progress)
    with rehearse(ledger) if dry_run else nullcontext(ledger) as target:
        for part in chunks(sort(answers), PART):
            facts = [reader.fact(answer) for _, _, answer in part]
            changed, refused = target.take_in(facts, allow_resubscribe=allow_resubscribe)
            outcome.changed += changed
            outcome.unchanged += len(part) - changed - len(refused)
            outcome.refused += [_refused(part[place][1], facts[place]) for place in refused]
            progress(outcome)
    outcome.refused.sort()
    return outcome


def _answers(
    rows: Iterable[Row], reader: RowReader, outcome: Outcome, progress: Callable[[Outcome], None]
) -> Iterator[tuple[int, int, Answer]]:
    """What the rows say, each with its time (in microseconds) and its number; our own events stay in their order."""
    for number, row in enumerate(rows, 1):
        outcome.read = number
        if number % PART == 0:
            progress(outcome)
        try:
            answer = reader.answer(row)
        except ValueError as reason:
            outcome.refused.append(Refused(number, str(reason)))
            continue
        at = 0 if answer.evidence else microseconds(answer.occurred_at) if answer.occurred_at else _LATE
        yield at, number, answer


def _refused(row: int, fact: Fact) -> Refused:
    who = fact.address or f"profile {fact.profile}"
    return Refused(row, f"{who} left by their own choice; --allow-resubscribe brings them back")
