"""Sessions of Spark: found, started, and ended again; what is not there is said in one line and in bounded time."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from ..errors import SourceError
from ..model import SparkEngine
from .spark_words import line

_REACHED_WITHIN = 10.0  # seconds
_WORKER_WITHIN = 60.0
_PORTS = {"spark": 7077, "sc": 15002}
_ADDRESS = re.compile(r"(?:spark|sc)://([^/;]+)")
_LONG = "-XX:-DontCompileHugeMethods"
"""Spark writes a plan as one long method, which Java would otherwise never compile."""
_PYTHON = "spark.pyspark.python"
"""Which Python workers start; pyspark reads it from the environment alone."""
_OWN = {
    "spark.driver.extraJavaOptions": _LONG,
    "spark.executor.extraJavaOptions": _LONG,
    "spark.log.level": "OFF",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def of_its_own(session: SparkSession) -> SparkSession:
    """A session beside a given one, with settings of its own. Raises SourceError where there can be none."""
    try:
        return session.newSession()
    except (AttributeError, PySparkException):
        raise SourceError("engine: beside a session of Spark Connect none can be made before pyspark 4.3") from None


@contextmanager
def session(engine: SparkEngine, told: Callable[[str], None]) -> Iterator[SparkSession]:
    """A session of the engine that is declared, ended at the end.

    Raises SourceError where there is no such master, no worker of it, or no Java to start with.
    """
    told(f"reaching {engine.place}")
    _reach(engine.place)
    running = SparkSession.getActiveSession()
    if running is not None and not engine.remote:  # somebody else's, who goes on with it as it is
        yield _beside(running, engine)
        return
    if engine.remote:
        with _started(engine, lambda: SparkSession.builder.remote(engine.place)) as found:
            yield found
        return
    if not (os.environ.get("JAVA_HOME") or os.environ.get("PYSPARK_GATEWAY_PORT") or shutil.which("java")):
        raise SourceError("engine: Spark needs Java 17 or newer, and there is none; install one, or set JAVA_HOME")
    with _started(engine, lambda: SparkSession.builder.master(engine.place)) as found:
        if python := engine.settings.get(_PYTHON) or (sys.executable if engine.place.startswith("local") else None):
            found.sparkContext.pythonExec = python
        _wait_for_a_worker(found, engine)
        yield found


def _beside(running: SparkSession, engine: SparkEngine) -> SparkSession:
    """A session of ours beside a running one, with the settings that can still be made."""
    own = of_its_own(running)
    for name, value in engine.settings.items():
        if own.conf.isModifiable(name):
            own.conf.set(name, value)
    return own


@contextmanager
def _started(engine: SparkEngine, builder: Callable[[], SparkSession.Builder]) -> Iterator[SparkSession]:
    settings = _OWN | dict(engine.settings)
    running = SparkSession.getActiveSession()
    try:
        with _silent():
            begun = builder()
            for name, value in settings.items() if not engine.remote else engine.settings.items():
                begun = begun.config(name, value)
            found = begun.appName("maysend").getOrCreate()
    except Exception as error:
        reason = "Java ended at once; is it 17 or newer?" if "JAVA_GATEWAY_EXITED" in str(error) else line(error)
        raise SourceError(f"engine: no session at {engine.place}: {reason}") from None
    try:
        yield found
    finally:
        if running is None:  # somebody else's goes on
            with suppress(Exception):
                found.stop()


def _reach(place: str) -> None:
    """Whether anybody listens where a master or a server is said to be."""
    found = _ADDRESS.match(place)
    if not found:
        return
    refused = []
    for address in found[1].split(","):
        host, _, port = address.rpartition(":") if ":" in address else (address, "", "")
        try:
            with socket.create_connection(
                (host.strip("[]"), int(port or _PORTS[place.partition(":")[0]])), _REACHED_WITHIN
            ):
                return
        except (OSError, ValueError) as error:
            refused.append(f"{address}: {getattr(error, 'strerror', None) or error}")
    raise SourceError(f"engine: there is no Spark at {place} ({'; '.join(refused)})")


def _wait_for_a_worker(found: SparkSession, engine: SparkEngine) -> None:
    """A master without workers would let every query wait for ever."""
    if not engine.place.startswith("spark://"):
        return
    ends = time.monotonic() + _WORKER_WITHIN
    tracker = found.sparkContext._jsc.sc().statusTracker()
    while time.monotonic() < ends:
        if len(tracker.getExecutorInfos()) > 1:  # the first is this process
            return
        time.sleep(0.2)
    raise SourceError(
        f"engine: {engine.place} gave no worker within {_WORKER_WITHIN:.0f} seconds; has it any that is free, with as"
        " much memory and as many cores as `settings` ask for?"
    )


@contextmanager
def _silent() -> Iterator[None]:
    """What Java writes to stderr, from its first line to its last, goes to a file that nobody sees."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
