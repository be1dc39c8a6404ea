"""A Spark of the tests' own: a master and two workers, processes on loopback; and decisions made on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlglot import exp

from engine import loaded_plugins
from maysend import runner
from maysend.model import Project
from maysend.runner import Run
from maysend.targeting import moves
from maysend.targeting.reads import INCLUDED
from maysend.targeting.stages import REASONS
from maysend.trees import cast, column, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FRUGAL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-DontCompileHugeMethods"
"""Java spends more on compiling than these small queries take."""
EXECUTORS = {
    "spark.cores.max": "2",
    "spark.executor.cores": "1",
    "spark.executor.memory": "1g",
    "spark.executor.extraJavaOptions": _FRUGAL,
    "spark.driver.extraJavaOptions": _FRUGAL,
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.pyspark.python": sys.executable,
}
"""Settings with which one application takes half of the cluster: an executor of 1 GiB on each worker."""
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
"""Plans of many small worlds are not worth compiling: ten times as fast, by Spark's own interpreter."""

Decisions = dict[str, dict[str, str]]


@dataclass(slots=True)
class Cluster:
    """A standalone cluster; ``workers`` can be killed."""

    master: str
    home: Path
    directory: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        self.workers.append(_start(self, "worker.Worker", "--cores", "2", "--memory", "2g", self.master))

    def kill_worker(self) -> None:
        """The first worker and its executors are gone at once, as if somebody pulled the plug."""
        worker = self.workers.pop(0)
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        for process in (worker.pid, *map(int, children)):
            os.kill(process, signal.SIGKILL)
        worker.wait()


def _start(cluster: Cluster, what: str, *arguments: str) -> subprocess.Popen[bytes]:
    settings = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": _FRUGAL,
        "SPARK_LOCAL_DIRS": str(cluster.directory),
        "SPARK_WORKER_DIR": str(cluster.directory / "work"),
    }
    program = cluster.home / "bin" / "spark-class"
    log = (cluster.directory / "log").open("ab")
    with log:
        return subprocess.Popen(
            [program, f"org.apache.spark.deploy.{what}", "--host", "127.0.0.1", "--webui-port", "0", *arguments],
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )


@contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """A master and two workers of two cores; skips the test where pyspark or Java is absent."""
    found = find_spec("pyspark")
    if not found or not found.origin:
        pytest.skip("pyspark is not installed (extra: spark)")
    if not shutil.which("java"):
        pytest.skip("there is no Java")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Cluster(f"spark://127.0.0.1:{port}", Path(found.origin).parent, directory)
    master = _start(made, "master.Master", "--port", str(port))
    try:
        _wait(lambda: _listens(port), 120, directory / "log")
        made.add_worker()
        made.add_worker()
        yield made
    finally:
        for process in (*made.workers, master):
            process.terminate()
        for process in (*made.workers, master):
            process.wait()


@contextmanager
def session(master: str, **settings: str) -> Iterator[SparkSession]:
    """A running session, as a notebook has one."""
    with warnings.catch_warnings(action="ignore"):
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(master).appName("maysend tests")
        for name, value in {**EXECUTORS, "spark.ui.enabled": "true", "spark.log.level": "OFF", **settings}.items():
            builder = builder.config(name, value)
        found = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    found.sparkContext.pythonExec = sys.executable
    try:
        yield found
    finally:
        found.stop()


class Interpreted:
    """A session whose sessions interpret their plans (see ``INTERPRETED``)."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    def newSession(self) -> SparkSession:  # noqa: N802 - Spark's name
        found = self._session.newSession()
        for name, value in INTERPRETED.items():
            found.conf.set(name, value)
        return found


def decisions(project: Project, as_of: datetime, session: SparkSession | Interpreted | None) -> Decisions:
    """Every campaign's reason for every profile, in one query a plan; on DuckDB where no session is given."""
    with runner.opened(project, as_of, loaded_plugins(), session=session) as run:  # type: ignore[arg-type] # all that is used of a session
        return read(run)


def read(run: Run) -> Decisions:
    """The decisions of an open run."""
    found: Decisions = {}
    everyone = exp.select(cast(column(run.project.profiles.key), "text")).from_(table("profiles"))
    keys = [key for (key,) in run.backend.rows(everyone)]
    for plan in run.plans(runner.chosen(run.project, ())):
        moves.keep(plan, run.backend, "stages passed", range(len(plan.asked)), None)
        passed = [column(f"n{index}") for index in range(len(plan.asked))]
        rows = run.backend.rows(exp.select(cast(column("key"), "text"), *passed).from_(table("stages passed")))
        for index, asked in enumerate(plan.asked):
            reasons: dict[str, str] = dict.fromkeys(keys, REASONS[0])
            reasons |= {row[0]: (*REASONS, INCLUDED)[row[index + 1]] for row in rows}
            found[asked.campaign.name] = reasons
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(holds: Callable[[], bool], seconds: float, log: Path) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, log.read_text(errors="replace")
        time.sleep(0.1)


@contextmanager
def losing_a_worker(spark: Cluster, running: SparkSession, after: float = 0) -> Iterator[None]:
    """A worker is killed so many seconds after a job has begun; it must have been by the end, and another one comes."""
    killed = threading.Event()

    def kill() -> None:
        tracker = running.sparkContext.statusTracker()
        while not tracker.getActiveJobsIds():
            time.sleep(0.01)
        time.sleep(after)
        spark.kill_worker()
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
        assert killed.is_set()
    finally:
        killer.join()
        spark.add_worker()
