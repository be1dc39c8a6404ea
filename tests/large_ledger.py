"""A ledger of any size: its first snapshot, and a refresh after a tail of 50,000 events.

python tests/large_ledger.py EVENTS [DIRECTORY]

Prints JSON: seconds and bytes (peak of a process of its own) of the first snapshot, the same of a refresh, and how many
answers each found.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Integer, insert, literal, literal_column, select
from sqlglot import exp

from maysend import snapshot
from maysend.backends.duckdb import DuckDB
from maysend.events import Fact
from maysend.ledger import open_ledger, stores
from maysend.ledger.tables import events, status

TAIL = 50_000


def measure(count: int, directory: Path) -> dict[str, dict[str, float]]:
    """First build, refresh of the tail, and a run after it, each in a process of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    fill(directory, count)
    found = {"first": _landed(directory)}
    with open_ledger("sqlite:///ledger.db", directory) as ledger:
        for start in range(0, TAIL, 10_000):
            ledger.take_in([_no(number) for number in range(start, start + 10_000)])
    return found | {"refresh": _landed(directory)}


def fill(directory: Path, count: int) -> None:
    """So many events, two for each address; written by SQLite itself, with hashes that nobody looks at."""
    with open_ledger("sqlite:///ledger.db", directory, create=True) as ledger:
        numbers = select(literal(1).label("n")).cte(recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < count))
        n = numbers.c.n
        address = literal_column("printf('p%08d@x.org', (n - 1) / 2)")
        group = literal_column("CASE n % 2 WHEN 0 THEN 'offers' ELSE 'news' END")
        event = {
            "seq": n,
            "event_id": literal_column("printf('%08d', n)"),
            "occurred_at": n,
            "recorded_at": n,
            "channel": literal("email"),
            "group_name": group,
            "subscribed": literal(0, Integer),
            "source": literal("page"),
            "address": address,
            "address_salt": literal_column("x'00'"),
            "address_digest": literal_column("zeroblob(32)"),
            "hash": literal_column("zeroblob(32)"),
        }
        answer = {
            "subject": address,
            "channel": literal("email"),
            "level": literal("address"),
            "group_name": group,
            "answer": literal(-1),
            "answered_at": n,
            "source": literal("page"),
            "in_force": literal(-1),
            "suppressed": literal(0, Integer),
            "types": literal(""),
            "seq": n,
        }
        with stores.writing(ledger._engine) as connection:
            for table, row in ((events, event), (status, answer)):
                chosen = [value.label(None) for value in row.values()]
                connection.execute(insert(table).from_select(list(row), select(*chosen).select_from(numbers)))


def _no(number: int) -> Fact:
    """Half of them are somebody's who is there already, half a newcomer's."""
    who = f"p{number // 2:08}@x.org" if number % 2 else f"new{number}@x.org"
    return Fact(channel="email", group=None, subscribed=False, address=who, source="page")


def _landed(directory: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--land", directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _land(directory: Path) -> dict[str, float]:
    """One run's reading of the answers, and what it took."""
    with open_ledger("sqlite:///ledger.db", directory) as ledger, DuckDB("512MB") as backend:
        start = time.perf_counter()
        seq = snapshot.land(ledger, backend, directory / ".maysend", "answers").seq
        seconds = time.perf_counter() - start
        ((answers,),) = backend.rows(exp.select(exp.Count(this=exp.Star())).from_("answers"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": round(seconds, 3), "bytes": peak, "answers": answers, "seq": seq}


if __name__ == "__main__":
    if sys.argv[1] == "--land":
        print(json.dumps(_land(Path(sys.argv[2]))))
    else:
        with TemporaryDirectory(prefix="maysend-") as scratch:
            print(json.dumps(measure(int(sys.argv[1]), Path((sys.argv[2:] or [scratch])[0])), indent=2))
