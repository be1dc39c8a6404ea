"""A Spark of the tests' own: a master and two workers, processes on loopback; and decisions made on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
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
    from pyspark import SparkContext
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
        self.workers.append(_start_daemon(self, "worker.Worker", "--cores", "2", "--memory", "2g", self.master))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """A worker and its executors are gone at once, as if somebody pulled the plug."""
        self.workers.remove(worker)
        for process in (worker.pid, *executors_of(worker)):
            os.kill(process, signal.SIGKILL)
        worker.wait()


def executors_of(worker: subprocess.Popen[bytes]) -> dict[int, tuple[str, str]]:
    """The application and the number of each of a worker's executors, by process."""
    found = {}
    for children in Path(f"/proc/{worker.pid}/task").glob("*/children"):  # whichever thread started it
        for process in map(int, children.read_text().split()):
            arguments = Path(f"/proc/{process}/cmdline").read_text().split("\0")
            if "--executor-id" in arguments:
                application, number = (arguments[arguments.index(name) + 1] for name in ("--app-id", "--executor-id"))
                found[process] = application, number
    return found


def _start(cluster: Cluster, program: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    places = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(cluster.directory),
        "SPARK_WORKER_DIR": str(cluster.directory / "work"),
    }
    with (cluster.directory / "log").open("ab") as log:
        return subprocess.Popen(
            [cluster.home / "bin" / program, *arguments],
            env=os.environ | places | environment,
            stdout=log,
            stderr=log,
        )


def _start_daemon(cluster: Cluster, what: str, *arguments: str) -> subprocess.Popen[bytes]:
    arguments = (f"org.apache.spark.deploy.{what}", "--host", "127.0.0.1", "--webui-port", "0", *arguments)
    return _start(cluster, "spark-class", *arguments, SPARK_DAEMON_MEMORY="256m", SPARK_DAEMON_JAVA_OPTS=_FRUGAL)


@contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """A master and two workers of two cores; skips the test where pyspark or Java is absent."""
    found = find_spec("pyspark")
    if not found or not found.origin:
        pytest.skip("pyspark is not installed (extra: spark)")
    if not shutil.which("java"):
        pytest.skip("there is no Java")
    port = _free_port()
    made = Cluster(f"spark://127.0.0.1:{port}", Path(found.origin).parent, directory)
    master = _start_daemon(made, "master.Master", "--port", str(port))
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
def connect_server(cluster: Cluster) -> Iterator[str]:
    """A Spark Connect server whose application runs on the cluster; its address. Skips the test where pyspark has no
    such server, or what talks to it is not installed."""
    if not list(cluster.home.glob("jars/spark-connect_*.jar")):
        pytest.skip("this pyspark has no Spark Connect server")
    pytest.importorskip("grpc", reason="grpcio is not installed (pyspark[connect])")
    pytest.importorskip("grpc_status", reason="grpcio-status is not installed (pyspark[connect])")
    port = _free_port()
    settings = {
        **EXECUTORS,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
    }
    arguments = [argument for name, value in settings.items() for argument in ("--conf", f"{name}={value}")]
    service = ("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal")
    settled = ("--master", cluster.master, *arguments, *service)
    server = _start(cluster, "spark-submit", *settled, PYSPARK_PYTHON=sys.executable)
    try:
        _wait(lambda: _listens(port) or server.poll() is not None, 120, cluster.directory / "log")
        assert server.poll() is None, (cluster.directory / "log").read_text(errors="replace")
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


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


def on_spark(root: Path, *, settings: Mapping[str, str] = MappingProxyType({}), **place: str) -> None:
    """Change the one line of project.yaml that says where plans run: on a ``master``, or at a ``remote`` server."""
    file = root / "project.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("engine:")]
    engine = {"type": "spark", **place, "settings": {**(EXECUTORS if "master" in place else {}), **settings}}
    file.write_text("\n".join([*lines, f"engine: {json.dumps(engine)}", ""]))


def decisions(
    project: Project, as_of: datetime, session: SparkSession | Interpreted | None, *, roster: bool = False
) -> Decisions:
    """Every campaign's reason for every profile, in one query a plan; on DuckDB where no session is given. ``roster``
    says whether there is a roster, and it is read."""
    with runner.opened(project, as_of, loaded_plugins(), session=session, roster=roster) as run:  # type: ignore[arg-type] # all that is used of a session
        assert bool(run.catalog.roster) == roster
        return _read(run)


def _read(run: Run) -> Decisions:
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def losing_a_worker(spark: Cluster, running: SparkSession) -> Iterator[None]:
    """Between begin and end of what is done, a worker is killed in the middle of a task of it, and another one comes.

    The worker's executor stands still from the first job on, so that a task that it is given stays with it to the end.
    """
    context = running.sparkContext
    worker, process, executor = next(
        (worker, process, executor)
        for worker in spark.workers
        for process, (application, executor) in executors_of(worker).items()
        if application == context.applicationId
    )
    killed, over = threading.Event(), threading.Event()

    def kill() -> None:
        while not context.statusTracker().getActiveJobsIds() and not over.is_set():
            time.sleep(0.01)
        os.kill(process, signal.SIGSTOP)
        try:
            while not _busy(context, executor) and not over.is_set():
                time.sleep(0.1)
            time.sleep(1)
            if _busy(context, executor) and not over.is_set():
                spark.kill(worker)
                killed.set()
        finally:
            if not killed.is_set():
                os.kill(process, signal.SIGCONT)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
        assert killed.is_set(), "it ended before a worker could be killed"
    finally:
        over.set()
        killer.join()
        if killed.is_set():
            spark.add_worker()


def _busy(context: SparkContext, executor: str) -> bool:
    """Whether an executor has a task, as Spark knows it."""
    found = context._jsc.sc().statusStore().executorList(True)
    executors = [found.apply(place) for place in range(found.size())]
    return any(one.id() == executor and one.activeTasks() > 0 for one in executors)
