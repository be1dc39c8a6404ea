"""The ledger as the rest of maysend sees it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Self

from sqlalchemy import Connection, Engine, delete, func, insert, select, tuple_

from ..errors import LedgerError
from ..events import LONGEST_SUBJECT, ChannelUnsubscribed, Fact
from ..model import SubscriptionGroup
from ..status import CHANNEL, Standing
from . import chain, erasure, recording, stores
from .cursors import Cursors
from .erasure import Tombstones
from .glance import KnownGroup
from .past import RecordedAnswer, answers_at, answers_until
from .standings import Subject, load
from .tables import EventRow, events, known_groups, status
from .tally import Tally, tally
from .verification import Proof, verify
from .writer import Writer

_PAGE = 10_000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ANSWER = tuple(
    status.c[name] for name in ("channel", "level", "subject", "group_name", "in_force", "suppressed", "seq")
)


class AnswerRow(NamedTuple):
    """A subject's answer in force for ``group`` (``""``: the whole channel): 1 a yes, -1 a no, 0 none.

    ``suppressed`` is told on the row of the whole channel; ``seq`` is the event that last changed the row.
    """

    channel: str
    level: Literal["address", "profile"]
    subject: str
    group: str
    answer: int
    suppressed: bool
    seq: int


class Mark(NamedTuple):
    """How far a ledger is: its newest event, that event's hash, and when somebody was last erased (0: never)."""

    seq: int
    hash: str
    erased: int


Recorded = Sequence[EventRow | None]


class Ledger:
    """An open ledger. Every method may be called from any thread, and raises LedgerError where the store fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = Writer(self._write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way and let go of the database."""
        self._writer.close()
        self._engine.dispose()

    def append(self, facts: Sequence[Fact]) -> list[ChannelUnsubscribed | None]:
        """Record facts in the given order in one transaction, durable on return; None for a fact that changes nothing.

        An event is the answer of each subject it names, and recorded where it changes anything for one of them. A live
        fact (no ``occurred_at``) is stamped now, or a microsecond after its subjects' latest answer. A fact whose
        ``event_id`` is recorded already changes nothing.
        """
        if not facts:
            return []
        done: Future[Recorded | Exception] = Future()
        self.submit(facts, done.set_result)
        if isinstance(recorded := done.result(), Exception):
            raise recorded
        return [recording.event_of(row) if row else None for row in recorded]

    def submit(self, facts: Sequence[Fact], told: Callable[[Recorded | Exception], None]) -> None:
        """The same without waiting: ``told`` is called by another thread once the facts are durable.

        It gets each fact's row of the ledger, None where that changed nothing, or the exception that kept all out.
        """
        for fact in facts:
            _check_text(fact)
        self._writer.submit(facts, told)

    def standing(
        self, channel: str, *, address: str | None = None, profile: str | None = None
    ) -> tuple[Standing, Standing]:
        """What the address and the profile have answered on a channel; empty standings for those not given."""
        address_subject = Subject(channel, "address", address or "")
        profile_subject = Subject(channel, "profile", profile or "")
        with stores.clear_errors(self._engine), stores.reading(self._engine) as connection:
            found = recording.read(connection, {s for s in (address_subject, profile_subject) if s.value})
        return found.get(address_subject, Standing()), found.get(profile_subject, Standing())

    def take_in(self, facts: Sequence[Fact], *, allow_resubscribe: bool = False) -> tuple[int, list[int]]:
        """Record facts of another system as ``append`` does; return how many are events now, and which were refused.

        Refused, told by its place among ``facts``, is a yes against a no that a subject said by page, one-click, API,
        reply or feedback, unless ``allow_resubscribe``.
        """
        recorded = self._record(facts, spare_own_choices=not allow_resubscribe)
        return sum(row is not None for row in recorded.rows), recorded.refused

    def history(
        self, *, channel: str | None = None, address: str | None = None, profile: str | None = None
    ) -> list[ChannelUnsubscribed]:
        """The events that name the address or the profile, oldest first."""
        query = select(events).where(recording.about(channel, address, profile))
        with stores.clear_errors(self._engine), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(events.c.occurred_at, events.c.seq))
            return [recording.event_of(EventRow._make(row)) for row in rows]

    def events(self, after: int = 0) -> Iterator[ChannelUnsubscribed]:
        """Every event whose ``seq`` is above ``after``, in the order of commits, read page by page."""
        while True:
            query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(_PAGE)
            with stores.clear_errors(self._engine), self._engine.connect() as connection:
                page = [recording.event_of(EventRow._make(row)) for row in connection.execute(query)]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def last_seq(self) -> int:
        """The ``seq`` of the newest committed event, 0 where there is none."""
        with stores.clear_errors(self._engine), self._engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one())

    def answers(self, after: int = 0) -> Iterator[AnswerRow]:
        """The answers in force of every subject that an event above ``after`` changed, as of one moment."""
        with self.tail(after) as (_, rows):
            yield from rows

    @contextmanager
    def tail(self, after: int) -> Iterator[tuple[Mark, Iterator[AnswerRow]]]:
        """The answers in force that an event above ``after`` changed, and how far the ledger is: as of one moment."""
        query = select(*_ANSWER).where(status.c.seq > after)
        with stores.clear_errors(self._engine), stores.reading(self._engine) as connection:
            mark = _mark(connection)
            rows = connection.execution_options(yield_per=_PAGE).execute(query)
            yield mark, (AnswerRow(*row) for row in rows)

    def all_answers(self) -> Iterator[AnswerRow]:
        """Every answer in force, read in short parts: what changes meanwhile is told as it was or as it is.

        A ``tail`` from before the first row sets that right.
        """
        key = (status.c.subject, status.c.channel, status.c.level, status.c.group_name)
        query = select(*_ANSWER).order_by(*key).limit(_PAGE)
        page = [AnswerRow("", "address", "", "", 0, False, 0)]
        while page:
            last = page[-1]
            place = tuple_(last.subject, last.channel, last.level, last.group)
            with stores.clear_errors(self._engine), self._engine.connect() as connection:
                page = [AnswerRow(*row) for row in connection.execute(query.where(tuple_(*key) > place))]
            yield from page

    def mark(self) -> Mark:
        """How far the ledger is."""
        with stores.clear_errors(self._engine), stores.reading(self._engine) as connection:
            return _mark(connection)

    def has(self, mark: Mark) -> bool:
        """Whether this ledger was once as far as ``mark`` says, and nobody was erased since."""
        query = select(events.c.hash).where(events.c.seq == mark.seq)
        with stores.clear_errors(self._engine), self._engine.connect() as connection:
            found = connection.execute(query).scalar_one_or_none() or chain.START
            return found.hex() == mark.hash and erasure.newest(connection) == mark.erased

    def erased(self, subjects: Iterable[Subject]) -> Iterator[AnswerRow]:
        """Of the given subjects, the no that is left of those who were erased and have not returned since."""
        for some in _parts(subjects):
            with stores.clear_errors(self._engine), self._engine.connect() as connection:
                found = Tombstones.of(connection).erased(connection, some)
                returned = {subject for subject, rows in load(connection, found).items() if rows}
            for subject in found.keys() - returned:
                yield AnswerRow(*subject, group=CHANNEL, answer=-1, suppressed=False, seq=0)

    def has_erased(self) -> bool:
        """Whether anybody was erased: else there is no need to ask ``erased``."""
        with stores.clear_errors(self._engine), self._engine.connect() as connection:
            return bool(Tombstones.of(connection))

    def erase(self, subjects: Iterable[Subject]) -> int:
        """Erase people: their values leave every event, and a tombstone keeps their no to each channel.

        A profile takes the addresses with it that events name beside it, and everybody is erased on every channel that
        the ledger knows them on. Returns how many events named them; the chain
        of events still verifies. Raises LedgerError without ``MAYSEND_ERASURE_KEY``.
        """
        people = set(subjects)
        with stores.clear_errors(self._engine):
            with stores.writing(self._engine) as connection:
                for profile in {subject.value for subject in people if subject.level == "profile"}:
                    people |= erasure.addresses_of(connection, profile)
                people |= erasure.known_elsewhere(connection, people)
                named = erasure.erase(connection, sorted(people), time.time_ns() // 1000)
            stores.forget(self._engine)
        return named

    def answers_at(self, moment: datetime) -> Iterator[RecordedAnswer]:
        """Every subject's last answers up to a moment, in the columns of the import format."""
        return answers_at(self._engine, moment)

    def answers_until(self, seq: int) -> Iterator[AnswerRow]:
        """The answers in force after event ``seq``, from the events alone: older consent, for a replay.

        Raises LedgerError where there is no such event yet.
        """
        if seq > (newest := self.last_seq()):
            raise LedgerError(f"the ledger's newest event is {newest}; it has no event {seq} to go back to")
        for subject, group, answer, suppressed, last in answers_until(self._engine, seq):
            yield AnswerRow(*subject, group=group, answer=answer, suppressed=suppressed, seq=last)

    def tally(self, until: int) -> Iterator[Tally]:
        """How many answers the events up to ``until`` are, by day and by what they are about."""
        return tally(self._engine, until)

    def verify(self) -> Proof:
        """Whether every event is there, unchanged and in order, and the status is what the events add up to."""
        return verify(self._engine)

    def cursors(self, holder: str) -> Cursors:
        """How far each sink is, for a process that calls itself ``holder``."""
        return Cursors(self._engine, holder)

    def known_groups(self) -> dict[str, KnownGroup]:
        """Every group the ledger has ever seen declared, by name."""
        with stores.clear_errors(self._engine), self._engine.connect() as connection:
            return {name: KnownGroup(*remembered) for name, *remembered in connection.execute(select(known_groups))}

    def remember_groups(self, groups: Iterable[SubscriptionGroup]) -> None:
        """Take in groups not seen before, the defaults of those whose file acknowledges the change, and its words."""
        known = self.known_groups()

        def is_news(group: SubscriptionGroup, before: KnownGroup) -> bool:
            if group.channel != before.channel or group.acknowledge == before.acknowledged:
                return False
            return group.default == before.default or group.means_change(before.acknowledged)

        changed = [
            {
                "name": group.name,
                "channel": group.channel,
                "default_status": group.default,
                "acknowledged": group.acknowledge,
            }
            for group in groups
            if group.name not in known or is_news(group, known[group.name])
        ]
        if not changed:
            return
        names = [row["name"] for row in changed]
        with stores.clear_errors(self._engine), stores.writing(self._engine) as connection:
            connection.execute(delete(known_groups).where(known_groups.c.name.in_(names)))
            connection.execute(insert(known_groups), changed)

    def _write(self, jobs: Sequence[Sequence[Fact]]) -> list[Recorded]:
        rows = iter(self._record([fact for job in jobs for fact in job]).rows)
        return [list(islice(rows, len(job))) for job in jobs]

    def _record(self, facts: Sequence[Fact], *, spare_own_choices: bool = False) -> recording.Recorded:
        """Record facts in one transaction, once, even where a server goes away in the middle of it."""

        def record(tried: bool) -> recording.Recorded:
            with stores.writing(self._engine) as connection:
                return recording.record(connection, facts, retried=tried, spare_own_choices=spare_own_choices)

        with stores.clear_errors(self._engine):
            return stores.outlast(record)


def is_storable(text: str) -> bool:
    """Whether every store can hold a text: it has no NUL, and no half of a surrogate pair."""
    return text.isprintable() or not _UNSTORABLE.search(text)


def is_subject(text: str) -> bool:
    """Whether every store can also find it again: PostgreSQL's indexes take no value of more than 2,704 bytes."""
    return len(text) <= LONGEST_SUBJECT and is_storable(text)


def open_ledger(url: str, root: Path, *, create: bool = False) -> Ledger:
    """Open the ledger at an SQLAlchemy URL (SQLite or PostgreSQL); a relative SQLite path starts at ``root``.

    Raises LedgerError where it is missing (unless ``create``), unreadable, or newer than this program.
    """
    engine = stores.connect(url, root, create=create)
    try:
        stores.prepare(engine, create=create)
        with stores.clear_errors(engine), engine.connect() as connection:
            Tombstones.of(connection)
    except BaseException:
        engine.dispose()
        raise
    return Ledger(engine)


def _mark(connection: Connection) -> Mark:
    newest = select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
    seq, link = connection.execute(newest).one_or_none() or (0, chain.START)
    return Mark(seq, link.hex(), erasure.newest(connection))


def _parts(subjects: Iterable[Subject]) -> Iterator[list[Subject]]:
    iterator = iter(subjects)
    while some := list(islice(iterator, _PAGE)):
        yield some


def _check_text(fact: Fact) -> None:
    """Refuse text that a store cannot hold, before it can fail a whole batch."""
    for name in Fact.__slots__:
        value = getattr(fact, name)
        if isinstance(value, str) and not is_storable(value):
            raise LedgerError(f"an answer's {name} holds a character that no ledger can store; nothing was recorded")
        if name in ("address", "profile") and isinstance(value, str) and len(value) > LONGEST_SUBJECT:
            raise LedgerError(f"an answer's {name} has more than {LONGEST_SUBJECT} characters; nothing was recorded")
