"""One Spark for all tests of this directory, and the CDNOW store to run on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spark_cluster import Cluster, cluster, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="session")
def running(spark: Cluster) -> Iterator[SparkSession]:
    with session(spark.master) as found:
        yield found


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory, maysend: Callable[..., Any]) -> Path:
    """The CDNOW project with everybody's answers imported."""
    root = tmp_path_factory.mktemp("imported") / "config"
    shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns(".maysend", "out"))
    maysend("import", "--create", "data/answers.csv", cwd=root)
    return root


@pytest.fixture
def store(imported: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return shutil.copytree(imported, tmp_path / "config")
