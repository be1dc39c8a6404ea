"""One measurement: a side in a process of its own, timed inside it without its imports; or a whole command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .sides import THREADS, Asked, Found

TESTS = Path(__file__).parents[1]
MAYSEND = str(Path(sys.executable).with_name("maysend"))


@dataclass(frozen=True, slots=True)
class Measured:
    """How many ``seconds`` it took and the most bytes of memory (``peak``) it held, and what a side found."""

    seconds: float
    peak: int
    found: dict[str, Found] = field(default_factory=dict)

    def times(self, number: float) -> Measured:
        """The same, as if it had taken so many times as long."""
        return replace(self, seconds=self.seconds * number)


class FailedError(Exception):
    """A side that did not end well, and the last line it said."""


def measure_side(side: str, asked: Asked) -> Measured:
    """Run a side, as ``module.function`` under ``sides``, in a process of its own."""
    told = json.dumps(asdict(asked) | {"directory": str(asked.directory)})
    _, peak, out = _run([sys.executable, "-m", "benchmarks.measuring", side, told])
    answer = json.loads(out.splitlines()[-1])
    found = {
        name: Found(tuple(left), tuple(who) if isinstance(who, list) else who)
        for name, (left, who) in answer["found"].items()
    }
    return Measured(answer["seconds"], peak, found)


def measure_command(arguments: Sequence[str], times: int = 1) -> Measured:
    """Run a command, from its start to its end; the median of so many times."""
    runs = sorted(_run(arguments)[:2] for _ in range(times))
    return Measured(runs[times // 2][0], max(peak for _, peak in runs))


def hold_to_threads() -> None:
    """Let this process and all that it starts use as many cores as each side may use threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def _run(arguments: Sequence[str]) -> tuple[float, int, str]:
    """Seconds, peak memory in bytes and standard output of a process. Raises FailedError where it fails."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])),
        "POLARS_MAX_THREADS": str(THREADS),
    }
    with TemporaryDirectory(prefix="maysend-") as directory:
        out, err = (Path(directory) / name for name in ("out", "err"))
        launch = [sys.executable, "-S", str(Path(__file__).with_name("launch.py")), str(out), str(err), *arguments]
        taken = json.loads(subprocess.run(launch, env=environment, check=True, capture_output=True).stdout)
        if taken["code"]:
            said = err.read_text(encoding="utf-8").strip().splitlines() or ["nothing"]
            raise FailedError(f"{' '.join(arguments[:5])}: exit code {taken['code']}: {said[-1]}")
        return taken["seconds"], taken["peak"], out.read_text(encoding="utf-8")


def _answer(side: str, told: dict[str, Any]) -> dict[str, Any]:
    module, _, function = side.partition(".")
    work = getattr(import_module(f".sides.{module}", __package__), function)
    asked = Asked(**told | {"directory": Path(told["directory"])})
    assert asked.campaigns  # drawn before anybody's clock runs
    start = time.perf_counter()
    found = work(asked)
    seconds = time.perf_counter() - start
    if isinstance(found, float):
        return {"seconds": found, "found": {}}
    return {"seconds": seconds, "found": {name: (one.left, one.who) for name, one in found.items()}}


if __name__ == "__main__":
    print(json.dumps(_answer(sys.argv[1], json.loads(sys.argv[2]))))
