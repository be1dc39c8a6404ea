"""What goes wrong around a ledger: locks, full disks, lost servers. Nothing is acknowledged that is not there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, make_url, select

from conftest import POSTGRES
from maysend.errors import LedgerError
from maysend.events import Fact
from maysend.ledger import Ledger, open_ledger, recording, stores
from maysend.ledger.tables import known_groups


def no(profile: str) -> Fact:
    return Fact(channel="email", group="news", subscribed=False, profile=profile, source="page")


@contextmanager
def held(ledger: Ledger) -> Iterator[None]:
    """Somebody else's open transaction, with a fact written and not committed."""
    with stores.writing(ledger._engine) as connection:
        recording.record(connection, [no("other")])
        yield


def test_an_append_waits_for_another_writer(ledger_url: str, tmp_path: Path) -> None:
    """And its event comes after the other's, so that whoever reads on from a ``seq`` misses nothing."""
    with open_ledger(ledger_url, tmp_path, create=True) as other, open_ledger(ledger_url, tmp_path) as ledger:
        with ThreadPoolExecutor() as pool:
            with held(other):
                waiting: Future[object] = pool.submit(ledger.append, [no("mine")])
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.5)
                assert ledger.last_seq() == 0
            assert waiting.result(timeout=10)
        assert [event.profile for event in ledger.events()] == ["other", "mine"]
        assert ledger.verify().faults == []


def test_an_append_that_waits_too_long_is_refused_and_can_be_tried_again(
    ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "BUSY_SECONDS", 1)
    with open_ledger(ledger_url, tmp_path, create=True) as other, open_ledger(ledger_url, tmp_path) as ledger:
        with held(other), pytest.raises(LedgerError, match=r"is held by another process .* nothing was recorded"):
            ledger.append([no("mine")])
        assert ledger.append([no("mine")])[0]
        assert [event.profile for event in ledger.events()] == ["other", "mine"]


@pytest.mark.parametrize("locks", [True, False], ids=["with the lock", "without it"])
def test_a_sequence_alone_would_lose_the_late_committer(postgres_url: str, tmp_path: Path, locks: bool) -> None:
    """Why appends take a lock: a server's numbers are handed out in one order and committed in another."""
    lock: Callable[..., None] = stores.lock if locks else lambda _: None
    with open_ledger(postgres_url, tmp_path, create=True) as ledger, ThreadPoolExecutor() as pool:
        engine = ledger._engine
        with engine.connect() as late, engine.connect() as early:
            for connection in (late, early):
                connection.begin()
            lock(late)
            late.execute(insert(known_groups).values(name="1", channel="", default_status=""))

            def write_early() -> None:
                lock(early)
                early.execute(insert(known_groups).values(name="2", channel="", default_status=""))
                early.commit()

            written = pool.submit(write_early)
            if not locks:
                written.result(timeout=10)
            cursor = _newest(ledger)
            late.commit()
            written.result(timeout=10)
            seen = _newer(ledger, cursor)
    assert (cursor, seen) == (("0", ["1", "2"]) if locks else ("2", []))  # without the lock, 1 is never seen


def _newest(ledger: Ledger) -> str:
    with ledger._engine.connect() as connection:
        return str(connection.execute(select(func.coalesce(func.max(known_groups.c.name), "0"))).scalar_one())


def _newer(ledger: Ledger, cursor: str) -> list[str]:
    with ledger._engine.connect() as connection:
        return list(connection.execute(select(known_groups.c.name).where(known_groups.c.name > cursor)).scalars())


@pytest.mark.parametrize(
    ("pragma", "message"),
    [
        ("PRAGMA max_page_count=40", "the disk is full; nothing was recorded"),
        ("PRAGMA query_only=ON", "cannot be written"),
    ],
    ids=["full", "read-only"],
)
def test_a_full_or_read_only_disk_is_told_in_one_line(
    sqlite_url: str, tmp_path: Path, pragma: str, message: str
) -> None:
    """SQLite's own limits stand in for the disk's: the same errors come from the same places."""
    with open_ledger(sqlite_url, tmp_path, create=True) as ledger:
        kept = [e.profile for e in ledger.append([no("kept")]) if e]
        ledger._engine.dispose()
        event.listen(ledger._engine, "connect", lambda connection, _: connection.execute(pragma))
        with pytest.raises(LedgerError, match=message) as raised:
            _fill(ledger, kept)
        assert "\n" not in str(raised.value)
    with open_ledger(sqlite_url, tmp_path) as ledger:
        assert [event.profile for event in ledger.events()] == kept
        assert ledger.verify().faults == []
        assert ledger.append([no("next")])[0]


def _fill(ledger: Ledger, kept: list[str | None]) -> None:
    for number in range(100):
        kept += [e.profile for e in ledger.append([no(f"{number} {n} {'x' * 100}") for n in range(20)]) if e]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_told_in_one_line(sqlite_url: str, tmp_path: Path) -> None:
    open_ledger(sqlite_url, tmp_path, create=True).close()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="cannot be"), open_ledger(sqlite_url, tmp_path) as ledger:
            ledger.append([no("1")])
    finally:
        tmp_path.chmod(0o700)


def test_a_damaged_file_is_told_in_one_line(sqlite_url: str, tmp_path: Path) -> None:
    with open_ledger(sqlite_url, tmp_path, create=True) as ledger:
        ledger.append([no(str(number)) for number in range(200)])
    file = tmp_path / "ledger.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(LedgerError, match="restore it from a backup"), open_ledger(sqlite_url, tmp_path) as ledger:
        list(ledger.events())


@pytest.fixture
def proxy() -> Iterator[_Proxy]:
    with _Proxy() as proxy:
        yield proxy


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_lost_in_mid_commit_is_outlasted(
    postgres_url: str, tmp_path: Path, proxy: _Proxy, moment: str
) -> None:
    """Whether the commit arrived or not, the event is there once, and told as recorded."""
    url = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port).update_query_dict({"sslmode": "disable"})
    open_ledger(postgres_url, tmp_path, create=True).close()
    with open_ledger(url.render_as_string(hide_password=False), tmp_path) as ledger:
        proxy.cut(moment)
        (event,) = ledger.append([no("1")])
        assert proxy.has_cut.is_set()
        assert event
        assert list(ledger.events()) == [event]
        assert ledger.append([no("1")]) == [None]
        assert ledger.verify().faults == []


def test_a_server_that_stays_away_is_told_in_one_line(
    postgres_url: str, tmp_path: Path, proxy: _Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "RETRY_SECONDS", 1)
    url = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port).update_query_dict({"sslmode": "disable"})
    open_ledger(postgres_url, tmp_path, create=True).close()
    with open_ledger(url.render_as_string(hide_password=False), tmp_path) as ledger:
        proxy.cut("for good")
        with pytest.raises(LedgerError, match="the database server") as raised:
            ledger.append([no("1")])
        assert "\n" not in str(raised.value)
    with open_ledger(postgres_url, tmp_path) as ledger:
        assert ledger.last_seq() == 0


class _Proxy:
    """Stands between a ledger and its server, and cuts the line when a COMMIT passes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._moment: str | None = None
        self.has_cut = threading.Event()
        self._deaf: set[socket.socket] = set()
        self._lines: list[socket.socket] = []

    def __enter__(self) -> _Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        for line in (self._listener, *self._lines):
            _hang_up(line)

    def cut(self, moment: str) -> None:
        """Cut ``before`` the next COMMIT reaches the server, ``after`` the server did it, or ``for good``."""
        self._moment = moment
        if moment == "for good":
            self._close()

    def _accept(self) -> None:
        server = make_url(POSTGRES)
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection((server.host or "127.0.0.1", server.port or 5432))
            self._lines += [client, upstream]
            threading.Thread(target=self._forward, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._back, args=(upstream, client), daemon=True).start()

    def _forward(self, client: socket.socket, upstream: socket.socket) -> None:
        with suppress(OSError):  # the other side hung up first
            while data := _receive(client):
                if self._moment and b"COMMIT" in data:
                    moment, self._moment = self._moment, None
                    if moment == "after":
                        self._deaf.add(client)
                        upstream.sendall(data)
                        self.has_cut.wait(10)
                    self.has_cut.set()
                    break
                upstream.sendall(data)
        _hang_up(client)
        _hang_up(upstream)

    def _back(self, upstream: socket.socket, client: socket.socket) -> None:
        while data := _receive(upstream):
            if client in self._deaf:
                self.has_cut.set()
                return
            with suppress(OSError):
                client.sendall(data)


def _receive(line: socket.socket) -> bytes:
    try:
        return line.recv(65536)
    except OSError:
        return b""


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
