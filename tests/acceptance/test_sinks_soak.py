"""100,000 events to servers that are killed and restarted in the middle: none lost, order kept, ids the same."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import receiving
from delivering import answer, eventually, write_project
from maysend.events import ChannelUnsubscribed
from maysend.ledger import open_ledger
from receiving import Receiver

pytestmark = pytest.mark.soak

COUNT = 100_000
PEOPLE = 1_000
LEDGER = "sqlite:///ledger.db"
POSTGRES_PROGRAMS = [Path("/usr/lib/postgresql") / version / "bin" for version in ("18", "17", "16", "15", "14")]


@dataclass
class Server:
    """A private server that can be killed, and comes back with what it had made durable."""

    command: Sequence[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        eventually(self._listens, 60)

    def _listens(self) -> bool:
        """Whether it is up; one that ended (what it left may still be ending) is started again."""
        if not self.process or self.process.poll() is not None:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        time.sleep(0.2)
        return receiving.listens(self.port)

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, *places: Path) -> str:
    found = shutil.which(name) or next((str(place / name) for place in places if (place / name).exists()), None)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def redis(directory: Path) -> tuple[Server, Any]:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--dir", str(directory), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    return Server(command, port, directory / "log"), lambda: receiving.redis(f"redis://127.0.0.1:{port}/0")


def nats(directory: Path) -> tuple[Server, Any]:
    port = free_port()
    (directory / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\njetstream: {{store_dir: "{directory}"}}\n', "utf-8"
    )
    command = [program("nats-server", Path("/usr/sbin")), "-c", str(directory / "nats.conf")]
    return Server(command, port, directory / "log"), lambda: receiving.nats(f"nats://127.0.0.1:{port}")


def postgres(directory: Path) -> tuple[Server, Any]:
    port, data = free_port(), directory / "data"
    initdb, run = program("initdb", *POSTGRES_PROGRAMS), program("postgres", *POSTGRES_PROGRAMS)
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        prefix = [program("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(directory, "nobody", "nogroup")
    made = [*prefix, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(made, check=True, capture_output=True)
    command = [*prefix, run, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(directory)]
    server = Server(command, port, directory / "log")
    return server, lambda: receiving.postgres(f"postgresql://postgres@127.0.0.1:{port}/postgres")


def rabbitmq(directory: Path) -> tuple[Server, Any]:
    port = free_port()
    (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n", "utf-8")
    environment = {
        "HOME": str(directory),
        "RABBITMQ_NODENAME": f"maysend{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "logs"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
    }
    places = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    run = next((str(place / "rabbitmq-server") for place in places), None) or program("rabbitmq-server")
    command = ["env", *(f"{name}={value}" for name, value in environment.items()), run]
    server = Server(command, port, directory / "log")
    return server, lambda: receiving.rabbitmq(f"amqp://guest:guest@127.0.0.1:{port}/%2F")


def kafka(_: Path) -> tuple[receiving.MockBrokers, Any]:
    brokers = receiving.MockBrokers()
    return brokers, lambda: receiving.kafka(brokers)


@pytest.fixture(params=[redis, nats, postgres, rabbitmq, kafka])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Server | receiving.MockBrokers, Receiver]]:
    """A private server and what reads from it; its files lie where a user other than root can reach them."""
    with tempfile.TemporaryDirectory(prefix="maysend-server-") as directory:
        server, connect = request.param(Path(directory))
        server.start()
        try:
            made: list[Receiver] = []
            eventually(lambda: bool(made) or _connects(connect, made), 60)
            yield server, made[0]
            made[0].remove()
        finally:
            server.kill()


def _connects(connect: Any, made: list[Receiver]) -> bool:
    try:
        made.append(connect())
    except pytest.skip.Exception:
        return False
    return True


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


def record(root: Path, sink: dict[str, Any]) -> list[ChannelUnsubscribed]:
    write_project(root, [sink])
    with open_ledger(LEDGER, root) as ledger:
        return answer(ledger, COUNT, people=PEOPLE)


def deliver(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([Path(sys.executable).with_name("maysend"), "deliver", "--follow"], cwd=root)


def seq(root: Path, sink: str) -> int:
    with open_ledger(LEDGER, root) as ledger:
        return ledger.cursors("").read(sink).seq


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def check(events: Sequence[dict[str, Any]], recorded: Sequence[ChannelUnsubscribed]) -> None:
    """Nothing is lost, an event that came twice is the same, and each person's first arrivals are in order."""
    first = {event["data"]["seq"]: event for event in reversed(events)}
    assert sorted(first) == [event.seq for event in recorded]
    ids = {event.seq: event.event_id for event in recorded}
    assert all(event["id"] == ids[event["data"]["seq"]] for event in events)
    seen: dict[str, int] = {}
    arrived: set[int] = set()
    for event in events:
        number, person = event["data"]["seq"], event["data"]["address"]
        if number not in arrived:
            assert number > seen.get(person, 0)
            seen[person] = number
            arrived.add(number)


def test_a_server_killed_in_the_middle_loses_nothing(
    running: tuple[Server | receiving.MockBrokers, Receiver], project: Path
) -> None:
    server, receiver = running
    recorded = record(project, {"type": receiver.type, **receiver.settings})
    process = deliver(project)
    try:
        for part in (0.2, 0.5):
            eventually(lambda until=part * COUNT: seq(project, receiver.type) > until, 600, 0.3)  # type: ignore[misc] # a default
            server.kill()
            time.sleep(25 if receiver.type == "kafka" else 2)  # longer than the producer waits for its brokers
            server.start()
        eventually(lambda: seq(project, receiver.type) == recorded[-1].seq, 900, 0.5)
    finally:
        stop(process)
    check(receiver.events(), recorded)


@pytest.mark.parametrize("kind", ["jsonl", "kafka"])
def test_delivery_killed_in_the_middle_loses_nothing(kind: str, project: Path) -> None:
    """``deliver`` itself is killed: the next one waits until the cursor is free, and goes on from there."""
    receiver = receiving.kafka() if kind == "kafka" else receiving.jsonl(project / "events.jsonl")
    recorded = record(project, {"type": kind, **receiver.settings})
    for part in (0.1, 0.4):
        process = deliver(project)
        eventually(lambda until=part * COUNT: seq(project, kind) > until, 600, 0.3)  # type: ignore[misc] # a default
        process.kill()
        process.wait()
    process = deliver(project)
    try:
        eventually(lambda: seq(project, kind) == recorded[-1].seq, 900, 0.5)
    finally:
        stop(process)
    check(receiver.events(), recorded)
    receiver.remove()
