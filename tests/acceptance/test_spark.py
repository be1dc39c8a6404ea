"""The same declarations on a real Spark: a master and two workers, and every decision as DuckDB makes it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, seed, settings
from sqlglot import exp

from decision_cases import EVERYONE, contents, world_of
from drawing import World, worlds
from engine import loaded_plugins, loaded_project, record, write_project
from maysend import runner
from maysend.backends.duckdb import DuckDB
from maysend.errors import InvalidProjectError
from maysend.targeting.deciding import passed
from maysend.trees import column, named
from spark_cluster import EXECUTORS, Cluster, Interpreted, cluster, decisions, losing_a_worker, session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.soak, pytest.mark.spark]
CONFIG = Path(__file__).parents[2] / "config"
DRAWN = 8
AS_OF = ("--as-of", "1998-07-01")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="module")
def running(spark: Cluster) -> Iterator[SparkSession]:
    with session(spark.master) as found:
        yield found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, maysend: Callable[..., Any]) -> Path:
    """The CDNOW project with everybody's answers imported."""
    root = tmp_path_factory.mktemp("store") / "config"
    shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns(".maysend", "out"))
    maysend("import", "--create", "data/answers.csv", cwd=root)
    return root


def on_spark(root: Path, master: str, **keys: Any) -> None:
    """Change the one line of project.yaml that says where plans run."""
    file = root / "project.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("engine:")]
    engine = {"type": "spark", "master": master, "settings": EXECUTORS, **keys}
    file.write_text("\n".join([*lines, f"engine: {json.dumps(engine)}", ""]))


def differences(world: Mapping[str, Any], running: SparkSession) -> dict[str, Any]:
    """Of each campaign the profiles that Spark decides otherwise than DuckDB: both reasons by key."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_project(world, directory)
        record(world, directory)
        project, as_of = loaded_project(directory), datetime.fromisoformat(world["as_of"])
        expected = decisions(project, as_of, None)
        found = decisions(project, as_of, Interpreted(running))
    assert found.keys() == expected.keys()
    assert all(found[campaign].keys() == expected[campaign].keys() for campaign in expected)
    different = {
        campaign: {
            key: (reason, found[campaign][key]) for key, reason in reasons.items() if found[campaign][key] != reason
        }
        for campaign, reasons in expected.items()
    }
    return {campaign: reasons for campaign, reasons in different.items() if reasons}


@pytest.mark.parametrize("stem", list(contents()))
def test_cases_are_decided_as_on_duckdb(stem: str, running: SparkSession) -> None:
    for name, world in world_of(contents()[stem]):
        assert differences(world, running) == {}, name


@pytest.mark.parametrize("number", range(DRAWN // 4))
def test_drawn_projects_are_decided_as_on_duckdb(number: int, running: SparkSession) -> None:
    def agrees(world: World) -> None:
        try:
            assert differences(world, running) == {}
        except InvalidProjectError:
            assume(False)

    patient = settings(max_examples=4, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    seed(number)(patient(given(world=worlds())(agrees)))()


PATTERNS = [
    *(
        "a$",
        "^a",
        "(?m)^a$",
        "(?m)^",
        "(?m)^$",
        "a.b",
        "(?s)a.b",
        "^.$",
        r"\s",
        r"\S",
        r"a\b",
        r"\Bb",
        r"^\w+$",
        r"\d",
        r"\D",
    ),
    *(
        "(?i)straße",
        "(?i)k",
        "(?i)[à-ý]",
        "(?i:A)b",
        "(?i)a(?-i)B",
        "(?P<name>a)b",
        "(?P<first_name>a)b",
        "[[:alpha:]]",
        "[^[:space:]]",
    ),
    *(
        "[[:^alpha:]]",
        r"[\s\d]",
        r"[^\s]",
        r"[\S]",
        r"[^\S]",
        "[a-]",
        "[]a]",
        "[^]a]",
        "[[a]",
        "[a&&b]",
        r"[\]\[]",
        r"[\x{e9}]",
        r"\x41",
        r"\101",
    ),
    *(
        "a{",
        "a{2}",
        "a{1,}",
        "a{,2}",
        "a{1,2}?",
        "{",
        "}",
        r"\Qa.b\E",
        r"\Qa.b",
        r"\pL",
        r"\p{Lu}",
        r"\p{Greek}",
        r"\p{^Greek}",
        r"\PL",
    ),
    *(
        r"\Aa\z",
        r"\v",
        r"[\v]",
        r"\a",
        "a|",
        "(|a)b",
        "#",
        "a b",
        "€",
        "😀",
        "^😀$",
        r"[😀-😂]",
        r"\.",
        r"\-",
        r"a\/b",
        "(?:ab)+?c",
    ),
]
TEXTS = [
    *(
        "",
        "a",
        "b",
        "A",
        "ab",
        "aB",
        "Ab",
        "ba",
        "aa",
        "a\n",
        "\na",
        "a\nb",
        "b\na\nb",
        "a\rb",
        "a\u2028b",
        "a\u0085b",
        "a\x0bb",
    ),
    *(
        "\x0b",
        "\x0c",
        "\u00a0",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\x07",
        "straße",
        "STRASSE",
        "STRAßE",
        "K",
        "\u212a",
        "é",
        "É",
        "aé",
        "1",
        "٣",
    ),
    *(
        "Ω",
        "ω",
        "-",
        "]",
        "[",
        "&",
        "&&",
        "a{",
        "a{,2}",
        "{",
        "}",
        "a.b",
        "axb",
        "#",
        "a b",
        "a/b",
        "€",
        "😀",
        "😁",
        "😀a",
        "_",
        "_a",
        "ababc",
    ),
]


def test_patterns_find_in_java_what_re2_finds(running: SparkSession, tmp_path: Path) -> None:
    texts = exp.values([(exp.Literal.string(text),) for text in TEXTS], alias="v", columns=["text"])
    found = [
        named(exp.RegexpLike(this=column("text"), expression=exp.Literal.string(pattern)), f"p{number}")
        for number, pattern in enumerate(PATTERNS)
    ]
    query = exp.select(column("text"), *found).from_(texts)
    from maysend.backends.spark import Spark

    with DuckDB() as local, Spark(Interpreted(running).newSession(), tmp_path) as spark:
        expected = {row[0]: row[1:] for row in local.rows(query.copy())}
        assert len(expected) == len(TEXTS)
        for text, *matched in spark.stream(query.copy()):
            different = [p for p, one, other in zip(PATTERNS, expected[text], matched, strict=True) if one != other]
            assert different == [], text


def test_one_changed_line_runs_a_project_on_a_cluster(spark: Cluster, store: Path, maysend: Callable[..., Any]) -> None:
    expected = json.loads(maysend("evaluate", *AS_OF, "--out", "out", "--json", cwd=store).stdout)
    on_spark(store, spark.master)
    done = maysend("evaluate", *AS_OF, "--out", "spark", "--json", cwd=store)
    assert json.loads(done.stdout) == expected
    assert done.stderr == ""
    manifest = json.loads((store / "spark" / "manifest.json").read_text())
    for campaign in manifest["campaigns"]:
        directory = store / "spark" / campaign["file"]
        assert campaign["file"] == f"campaign={campaign['name']}"
        one = duckdb.sql(f"SELECT * FROM '{store}/out/{campaign['name']}.parquet'").fetchall()
        parts = [
            duckdb.read_parquet(str(part), hive_partitioning=False).fetchall()
            for part in sorted(directory.glob("*.parquet"))
        ]
        assert [row for rows in parts for row in rows] == one
        assert campaign["rows"].startswith(f"{len(one)}:")
    assert not list((store / ".maysend").glob("spark-*"))


def test_a_plan_scans_the_profiles_once(running: SparkSession, store: Path) -> None:
    """Spark's own plan of what decides all campaigns of a channel has one scan of the profile table."""
    project, as_of = replace(loaded_project(store), engine=None), datetime.fromisoformat("1998-07-01T00:00:00+00:00")
    with runner.opened(project, as_of, loaded_plugins(), session=Interpreted(running)) as run:  # type: ignore[arg-type] # stands in
        for plan in run.plans(runner.chosen(project, ())):
            shown = run.backend.plan_of(passed(plan))  # type: ignore[attr-defined] # Spark's own
            scans = re.findall(r"Location: \w+ \[([^\]]*)\]", shown)
            assert len(scans) > 1
            assert sum(scan.endswith("/profiles.parquet") for scan in scans) == 1


def test_a_run_goes_on_when_a_worker_is_killed(spark: Cluster, running: SparkSession, store: Path) -> None:
    project, as_of = replace(loaded_project(store), engine=None), datetime.fromisoformat("1998-07-01T00:00:00+00:00")
    expected = decisions(project, as_of, None)
    with losing_a_worker(spark, running, after=2):
        assert decisions(project, as_of, running) == expected


def test_a_master_that_is_not_there_is_one_line(store: Path, maysend: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    on_spark(store, f"spark://127.0.0.1:{port}")
    started = time.monotonic()
    done = maysend("evaluate", *AS_OF, "--no-audiences", cwd=store, code=1)
    assert time.monotonic() - started < 30
    assert (
        done.stderr == f"engine: there is no Spark at spark://127.0.0.1:{port} (127.0.0.1:{port}: Connection refused)\n"
    )
    assert done.stdout == ""


def test_sources_may_be_partitioned_directories_and_tables(running: SparkSession, tmp_path: Path) -> None:
    world: dict[str, Any] = {
        "as_of": "2024-06-01T00:00:00Z",
        "columns": {"id": "integer", "email": "text", "country": "text"},
        "profiles": [{"id": n, "email": f"{n}@x.org", "country": ("CA", "US")[n % 2]} for n in range(40)],
        "channels": EVERYONE,
        "segments": {"canada": {"property": "country", "equals": "CA"}},
        "campaigns": {"canada": {"channel": "email", "audience": {"include": ["canada"]}}},
    }
    write_project(world, tmp_path)
    record(world, tmp_path)
    as_of = datetime.fromisoformat(world["as_of"])
    expected = decisions(loaded_project(tmp_path), as_of, None)
    duckdb.sql(f"COPY (FROM '{tmp_path}/profiles.parquet') TO '{tmp_path}/lake' (FORMAT parquet, PARTITION_BY country)")
    running.read.parquet(f"{tmp_path}/profiles.parquet").createOrReplaceGlobalTempView("people_of_a_lake")
    text = (tmp_path / "project.yaml").read_text()
    for location in ("lake", "lake/*/*.parquet", f"file://{tmp_path}/lake", "table:global_temp.people_of_a_lake"):
        (tmp_path / "project.yaml").write_text(text.replace("profiles.parquet", location))
        assert decisions(loaded_project(tmp_path), as_of, Interpreted(running)) == expected, location
    for location, said in (
        ("table:nowhere.profiles", "table:nowhere.profiles: there is no such file or table"),
        ("file:///nowhere/profiles", "file:///nowhere/profiles: there is no such file or table"),
        ("nowhere", "nowhere: there is no such file"),
    ):
        (tmp_path / "project.yaml").write_text(text.replace("profiles.parquet", location))
        with pytest.raises(InvalidProjectError, match=f": {said}$"):
            decisions(loaded_project(tmp_path), as_of, Interpreted(running))
