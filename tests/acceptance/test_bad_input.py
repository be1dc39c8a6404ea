"""Broken data, and places that cannot be written: one clear line, exit code 1, and the last results untouched."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from maysend import evaluation, loader, plugins, runner
from maysend.errors import MaysendError

Run = Callable[..., Any]
Break = Callable[[Path], object]

PROJECT = {
    "project.yaml": """\
title: A shop
profiles: {source: data/people.csv, key: id, columns: {id: integer, age: integer}}
events:
  Bought: {source: data/bought.parquet, profile: who, at: day}
  Seen: {source: "data/seen/*.parquet", profile: who, at: day}
sends: {source: data/sent.csv, profile: who, channel: channel, at: at, columns: {who: integer, at: timestamp}}
frequency_caps: [{channel: email, at_most: 3, days: 7}]
""",
    "channels/email.yaml": "type: email\naddress: mail\n",
    "segments/buyers.yaml": (
        "where: {all: [{property: age, at_least: 18}, {did: Bought, where: {property: price, at_least: 1}}]}\n"
    ),
    "segments/lookers.yaml": "where: {did: Seen, where: {property: page, equals: sale}}\n",
    "segments/friends.yaml": "where: {in_list: {source: data/friends.csv, column: number}}\n",
    "campaigns/daily.yaml": "title: D\nchannel: email\naudience: {include: [buyers, lookers], exclude: [friends]}\n",
    "campaigns/weekly.yaml": "title: W\nchannel: email\n",
    "data/people.csv": "id,mail,age\n1,ada@example.org,40\n2,ben@example.org,17\n3,,\n",
    "data/sent.csv": "who,channel,at\n1,email,2024-05-31T12:00:00\n",
    "data/friends.csv": "number\n2\n",
}
TABLES = {
    "data/bought.parquet": (
        "SELECT i % 3 AS who, DATE '2024-05-01' AS day, hash(i) / 3.0 AS price FROM range(20000) AS t(i)"
    ),
    "data/seen/may.parquet": "SELECT 1 AS who, DATE '2024-05-20' AS day, 'sale' AS page",
    "data/seen/june.parquet": "SELECT 2 AS who, DATE '2024-06-01' AS day, 'home' AS page",
}


def write_table(file: Path, query: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, maysend: Run) -> Path:
    """The shop with its ledger, and the results of a run in ``out``."""
    root = tmp_path_factory.mktemp("shop") / "shop"
    for name, text in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    for name, query in TABLES.items():
        write_table(root / name, query)
    maysend("init", cwd=root)
    maysend("evaluate", "--as-of", "2024-06-02", "--out", "out", cwd=root)
    return root


@pytest.fixture
def shop(evaluated: Path, tmp_path: Path) -> Path:
    shutil.copytree(evaluated, tmp_path / "shop")
    return tmp_path / "shop"


def files(directory: Path) -> dict[str, bytes]:
    """Everything in a directory, hidden files too."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def text(name: str, content: str | bytes) -> Break:
    return lambda root: (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


def table(name: str, query: str) -> Break:
    return lambda root: write_table(root / name, query)


def replaced(name: str, old: str, new: str) -> Break:
    return lambda root: (root / name).write_text((root / name).read_text("utf-8").replace(old, new), "utf-8")


def cut(name: str) -> Break:
    def break_(root: Path) -> None:
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])

    return break_


def damage(name: str) -> Break:
    def break_(root: Path) -> None:
        damaged = bytearray((root / name).read_bytes())
        third = len(damaged) // 3
        damaged[third : 2 * third] = bytes(third)
        (root / name).write_bytes(damaged)

    return break_


def remove(name: str) -> Break:
    return lambda root: (root / name).unlink()


def directory(name: str) -> Break:
    def break_(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return break_


PEOPLE = "data/people.csv"
BROKEN: dict[str, tuple[Break, str]] = {
    "a row with a cell too many": (
        text(PEOPLE, "id,mail,age\n1,a@x.org,40\n2,b@x.org,17,boo\n"),
        "project.yaml:2:20: data/people.csv:3: has 4 cells where the header has 3",
    ),
    "a row with a cell too few": (
        text(PEOPLE, "id,mail,age\n1,a@x.org,40\n2,b@x.org\n"),
        "project.yaml:2:20: data/people.csv:3: has 2 cells where the header has 3",
    ),
    "a quote that never ends": (
        text(PEOPLE, 'id,mail,age\n1,"a@x.org,40\n2,b@x.org,17\n'),
        "project.yaml:2:20: data/people.csv:2: a value starts with a quote that never ends",
    ),
    "text in a column declared integer": (
        text(PEOPLE, "id,mail,age\n1,a@x.org,40\n2,b@x.org,old\n"),
        'data/people.csv:3: column "age" is declared integer, and "old" is not',
    ),
    "a file that is no UTF-8": (
        text(PEOPLE, b"id,mail,age\n1,\xff\xfe@x.org,40\n"),
        "project.yaml:2:20: data/people.csv: is not UTF-8 text (invalid start byte); save it as UTF-8",
    ),
    "bytes that are no UTF-8, far down": (
        text(PEOPLE, b"id,mail,age\n" + b"".join(b"%d,a@x.org,40\n" % n for n in range(1000)) + b"-1,\xff@x.org,40\n"),
        "data/people.csv:1002: is not UTF-8 text; save it as UTF-8",
    ),
    "an empty file": (
        text(PEOPLE, ""),
        "project.yaml:2:20: data/people.csv: is empty; its first line must name the columns",
    ),
    "two columns of one name": (
        text(PEOPLE, "id,mail,age,mail\n1,a@x.org,40,b@x.org\n"),
        'project.yaml:2:20: data/people.csv: has two columns named "mail"',
    ),
    "a column that went": (
        text(PEOPLE, "id,email,age\n1,a@x.org,40\n"),
        'channels/email.yaml:2:10: data/people.csv has no column "mail"; did you mean "email"?',
    ),
    "a directory": (
        directory("data/bought.parquet"),
        "project.yaml:4:20: data/bought.parquet: there is no such file",
    ),
    "a file that went": (
        remove("data/bought.parquet"),
        "project.yaml:4:20: data/bought.parquet: there is no such file",
    ),
    "a Parquet file cut in half": (
        cut("data/bought.parquet"),
        "project.yaml:4:20: data/bought.parquet: is not a whole Parquet file; was it cut off?",
    ),
    "a Parquet file that is text": (
        text("data/bought.parquet", "who,day,price\n"),
        "project.yaml:4:20: data/bought.parquet: is not a whole Parquet file; was it cut off?",
    ),
    "a Parquet file of a glob without a column": (
        table("data/seen/june.parquet", "SELECT 2 AS who, DATE '2024-06-01' AS day"),
        'project.yaml:5:18: data/seen/june.parquet: has no column "page", unlike data/seen/may.parquet',
    ),
    "a Parquet file of a glob with another type": (
        table("data/seen/june.parquet", "SELECT 2 AS who, '2024-06-01' AS day, 'home' AS page"),
        'project.yaml:5:18: data/seen/may.parquet: column "day" is of type date, and text in data/seen/june.parquet',
    ),
    "a Parquet source with another type": (
        table("data/bought.parquet", "SELECT 1 AS who, DATE '2024-05-01' AS day, 'dear' AS price"),
        (
            'segments/buyers.yaml:1:95: "price" is a text column; at_least does not apply to it (these do: contains, '
            "ends_with, equals, exists, in, matches, not_contains, not_equals, not_in, not_matches, starts_with)"
        ),
    ),
    "sends without the declared column": (
        text("data/sent.csv", "who,chanel,at\n1,email,2024-05-31T12:00:00\n"),
        'project.yaml:6:55: data/sent.csv has no column "channel"; did you mean "chanel"?',
    ),
    "sends at no time": (
        text("data/sent.csv", "who,channel,at\n1,email,yesterday\n"),
        'data/sent.csv:2: column "at" is declared timestamp, and "yesterday" is not',
    ),
    "a list without the column": (
        text("data/friends.csv", "numbr\n2\n"),
        'data/friends.csv: has no column "number"; did you mean "numbr"?',
    ),
    "a list that went": (remove("data/friends.csv"), "data/friends.csv: there is no such file"),
    "CSV files of a glob in another order": (
        lambda root: (
            replaced("project.yaml", "data/people.csv", "data/people*.csv")(root),
            text("data/people2.csv", "id,age,mail\n4,50,d@x.org\n")(root),
        ),
        "project.yaml:2:20: data/people2.csv: has its columns in another order than data/people.csv",
    ),
    "a file of an unknown kind": (
        replaced("project.yaml", "data/bought.parquet", "project.yaml"),
        (
            "project.yaml:4:20: project.yaml: is not a Parquet file; others are read by their endings: "
            ".csv, .csv.gz, .tsv, .json, .jsonl, .ndjson, .json.gz, .sql"
        ),
    ),
    "JSON that is none": (
        lambda root: (
            replaced("project.yaml", "data/bought.parquet", "data/bought.jsonl")(root),
            text("data/bought.jsonl", '{"who": 1}\n{"who": 2\n{"who": 3}\n')(root),
        ),
        "project.yaml:4:20: data/bought.jsonl:3: is not JSON: unexpected character.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_is_one_line_and_leaves_the_last_results(name: str, shop: Path, here: Run) -> None:
    break_, expected = BROKEN[name]
    break_(shop)
    before = files(shop / "out")

    done = here("evaluate", "--out", "out", cwd=shop, code=1)

    assert (done.stdout, done.stderr) == ("", f"{expected}\n")
    assert files(shop / "out") == before
    assert not [entry.name for entry in shop.iterdir() if entry.name.startswith(".out")]


def test_a_damaged_parquet_file_is_found_when_it_is_read(shop: Path, here: Run) -> None:
    damage("data/bought.parquet")(shop)
    before = files(shop / "out")

    done = here("evaluate", "--out", "out", cwd=shop, code=1)

    assert done.stderr.startswith("data/bought.parquet: is broken: ")
    assert done.stderr.count("\n") == 1
    assert files(shop / "out") == before


@pytest.mark.parametrize(
    "change",
    [
        table("data/bought.parquet", "SELECT 1 AS who, DATE '2024-05-01' AS day, 2.5 AS prices"),
        table("data/bought.parquet", "SELECT 1 AS who, DATE '2024-05-01' AS day, 2.5 AS price"),
        remove("data/bought.parquet"),
    ],
    ids=["a column renamed", "other rows", "removed"],
)
def test_a_source_that_changes_while_it_is_read_stops_the_run(shop: Path, change: Break) -> None:
    """A nightly export that starts too early must not give half of the campaigns yesterday's people."""
    before = files(shop / "out")
    project = loader.load(shop, plugins.load())

    def told(what: str) -> None:
        if what == "reading answers":
            change(shop)

    with (
        pytest.raises(MaysendError, match=r"^data/bought\.parquet: (changed while it was read|there is no such file)"),
        runner.opened(project, datetime(2024, 6, 2, tzinfo=UTC), plugins.load(), progress=told) as run,
    ):
        evaluation.evaluate(run, runner.chosen(project, ()), out=shop / "out")
    assert files(shop / "out") == before


def test_results_replace_the_last_whole(shop: Path, here: Run) -> None:
    here("evaluate", "weekly", "--out", "out", "--format", "csv", cwd=shop)
    assert sorted(files(shop / "out")) == ["manifest.json", "weekly.csv"]
    here("evaluate", "daily", "--out", "out/", cwd=shop)
    assert sorted(files(shop / "out")) == ["daily.parquet", "manifest.json"]


def test_a_link_to_a_directory_stays_a_link(shop: Path, here: Run) -> None:
    (shop / "out").rename(shop / "yesterday")
    (shop / "out").symlink_to("yesterday")
    here("evaluate", "weekly", "--out", "out", cwd=shop)
    assert (shop / "out").is_symlink()
    assert sorted(files(shop / "yesterday")) == ["manifest.json", "weekly.parquet"]


def test_an_empty_directory_is_taken_and_a_missing_one_made(shop: Path, here: Run) -> None:
    (shop / "empty").mkdir()
    for out in ("empty", "not/there/yet"):
        here("evaluate", "weekly", "--out", out, cwd=shop)
        assert sorted(files(shop / out)) == ["manifest.json", "weekly.parquet"]


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"name": "a web app"}', "\x00"])
def test_a_directory_that_maysend_did_not_write_is_refused(manifest: str | None, shop: Path, here: Run) -> None:
    mine = shop / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("ten years of work\n")
    if manifest is not None:
        (mine / "manifest.json").write_text(manifest)
    before = files(mine)

    done = here("evaluate", "--out", "mine", cwd=shop, code=1)

    assert done.stderr == f"{mine}: holds files that maysend did not write; choose another --out\n"
    assert files(mine) == before


@pytest.mark.parametrize("name", ["report.html", "links.parquet", "notes/today.txt", "weekly.csv.bak"])
def test_what_somebody_put_beside_the_audiences_is_not_removed(name: str, shop: Path, here: Run) -> None:
    (shop / "out" / name).parent.mkdir(exist_ok=True)
    (shop / "out" / name).write_text("mine\n")
    before = files(shop / "out")

    done = here("evaluate", "--out", "out", cwd=shop, code=1)

    told = f'holds "{name.split("/")[0]}", which maysend did not write; move it away, or choose another --out'
    assert done.stderr == f"{shop / 'out'}: {told}\n"
    assert files(shop / "out") == before


@pytest.mark.parametrize("options", [(), ("--format", "csv"), ("--decisions",), ("--from", "out/manifest.json")])
def test_all_that_a_run_wrote_is_replaced(options: tuple[str, ...], shop: Path, here: Run) -> None:
    as_of = () if "--from" in options else ("--as-of", "2024-06-02")
    here("evaluate", *as_of, *options, "--out", "other", cwd=shop)
    assert len(files(shop / "other")) == (5 if "--decisions" in options else 3)
    here("evaluate", "weekly", "--out", "other", cwd=shop)
    assert sorted(files(shop / "other")) == ["manifest.json", "weekly.parquet"]


def test_directories_that_spark_wrote_are_replaced(shop: Path, here: Run) -> None:
    for name in ("campaign=daily", "replay=weekly"):
        (shop / "out" / name).mkdir()
    here("evaluate", "weekly", "--out", "out", cwd=shop)
    assert sorted(files(shop / "out")) == ["manifest.json", "weekly.parquet"]


def test_a_place_that_is_a_file_is_refused(shop: Path, here: Run) -> None:
    for out, why in (
        ("data/people.csv", "is not a directory; choose another --out"),
        ("data/people.csv/x", "cannot be"),
    ):
        done = here("evaluate", "--out", out, cwd=shop, code=1)
        assert done.stderr.startswith(f"{shop / out}: {why}")
        assert done.stderr.count("\n") == 1
    assert (shop / "data/people.csv").read_text("utf-8") == PROJECT["data/people.csv"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_refused(shop: Path, here: Run) -> None:
    (shop / "locked").mkdir(mode=0o500)
    done = here("evaluate", "--out", "locked/out", cwd=shop, code=1)
    assert done.stderr == f"{shop}/locked/out: cannot be written: Permission denied\n"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc here")
def test_a_file_system_that_takes_no_files_is_refused(shop: Path, here: Run) -> None:
    done = here("evaluate", "--out", "/proc/out", cwd=shop, code=1)
    assert done.stderr.startswith("/proc/out: cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_a_disk_that_fills_up_leaves_the_last_results(shop: Path) -> None:
    """The audience is more than this process may write to one file."""
    rows = "".join(f"{number},somebody.{number}@example.org,30\n" for number in range(20_000))
    (shop / PEOPLE).write_text(f"id,mail,age\n{rows}")
    before = files(shop / "out")

    done = subprocess.run(
        [Path(sys.executable).with_name("maysend"), "evaluate", "weekly", "--out", "out", "--format", "csv"],
        cwd=shop,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )

    assert done.returncode == 1, done.stderr
    assert done.stderr == "weekly.csv: cannot be written: File too large\n"
    assert files(shop / "out") == before
    assert not [entry.name for entry in shop.iterdir() if entry.name.startswith(".out")]


def test_the_shop_itself_is_sound(evaluated: Path) -> None:
    manifest = json.loads((evaluated / "out" / "manifest.json").read_text("utf-8"))
    counts = {found["name"]: found["included"] for found in manifest["campaigns"]}
    assert counts == {"daily": 1, "weekly": 2}
    assert sorted(files(evaluated / "out")) == ["daily.parquet", "manifest.json", "weekly.parquet"]
