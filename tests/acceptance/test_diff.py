"""``maysend diff`` over the CDNOW store in a git repository of its own: numbers, lines, forms, and every mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from maysend.ledger import open_ledger

CONFIG = Path(__file__).parents[2] / "config"
AS_OF = ("--as-of", "1998-07-01")


def git(directory: Path, *arguments: object) -> str:
    named = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *named, *map(str, arguments)], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, maysend: Any) -> Path:
    """A repository with the store in ``shop/``, its answers imported."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(CONFIG, root / "shop", ignore=shutil.ignore_patterns(".maysend", "out"))
    (root / ".gitignore").write_text(".maysend/\nout/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "The store")
    maysend("import", "--create", "data/answers.csv", cwd=root / "shop")
    return root


@pytest.fixture
def shop(clone: Path) -> Iterator[Path]:
    """The project in the working tree, which is as the branch main has it before and after."""
    yield clone / "shop"
    git(clone, "checkout", "-q", "-f", "main")
    git(clone, "clean", "-q", "-f", "-d")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, (old, text)
    file.write_text(text.replace(old, new))


def test_both_changed_lines_are_named_and_numbers_are_those_of_two_evaluations(
    shop: Path, here: Any, here_json: Callable[..., Any]
) -> None:
    def audiences() -> dict[str, set[str]]:
        here("evaluate", *AS_OF, "--out", "out", cwd=shop)
        found = {}
        for file in (shop / "out").glob("*.parquet"):
            rows = duckdb.sql(f"SELECT customer_id FROM '{file}'").fetchall()
            found[file.stem] = {str(key) for (key,) in rows}
        return found

    before = audiences()
    edit(shop / "segments/lapsed_regulars.yaml", "at_least: 3", "at_least: 2")
    edit(shop / "campaigns/jazz_weekend.yaml", "count: 2", "count: 3")
    after = audiences()
    found = here_json("diff", "main", *AS_OF, "--sample", 30_000, cwd=shop)
    assert found["population"] == 23_570
    for one in found["campaigns"]:
        was, now = before[one["name"]], after[one["name"]]
        assert set(one["samples"]["added"]) == now - was
        assert set(one["samples"]["removed"]) == was - now
        assert (one["added"], one["removed"], one["unchanged"]) == (len(now - was), len(was - now), len(was & now))
        assert sum(cause["added"] for cause in one["causes"]) == one["added"]
        assert sum(cause["removed"] for cause in one["causes"]) == one["removed"]
        assert one["causes"][-1] == {"file": None, "line": None, "added": 0, "removed": 0}
    causes = {one["name"]: one["causes"][:-1] for one in found["campaigns"] if one["added"] or one["removed"]}
    named = {name: [(cause["file"], cause["line"]) for cause in several] for name, several in causes.items()}
    assert named == {
        "win_back": [("segments/lapsed_regulars.yaml", 4)],
        "jazz_weekend": [("campaigns/jazz_weekend.yaml", 5)],
    }
    page = (Path(__file__).parents[2] / "docs" / "review.md").read_text("utf-8")
    shown = [line.rstrip() for line in here("diff", "main", *AS_OF, cwd=shop).stdout.splitlines()[:5]]
    assert "\n".join(shown) in page
    (segment,) = found["segments"]
    assert (segment["name"], segment["added"] > 0, segment["removed"]) == ("lapsed_regulars", True, 0)


def test_a_change_that_needs_another_is_told_apart_from_what_is_left_over(shop: Path, here_json: Any) -> None:
    """A changed segment no longer matters beside a wider one: what neither does alone is left over, and adds up."""
    edit(shop / "segments/lapsed_regulars.yaml", "- {did: Charged, count: {at_least: 3}}", "- {did: Charged}")
    wider = "  any:\n    - {property: country, exists: true}\n    - {property: country, exists: false}\n"
    (shop / "segments/everybody.yaml").write_text(f"title: Everybody\nwhere:\n{wider}")
    edit(shop / "campaigns/win_back.yaml", "include: [lapsed_regulars]", "include: [lapsed_regulars, everybody]")
    (one,) = [one for one in here_json("diff", "main", *AS_OF, cwd=shop)["campaigns"] if one["added"]]
    causes = {cause["file"]: cause["added"] for cause in one["causes"]}
    assert causes["segments/lapsed_regulars.yaml"] == 0
    assert causes["campaigns/win_back.yaml"] > 0
    assert causes[None] > 0
    assert sum(causes.values()) == one["added"]


def test_new_and_gone_declarations(shop: Path, here_json: Any) -> None:
    (shop / "campaigns/hello.yaml").write_text("channel: email\n")
    (shop / "campaigns/win_back.yaml").unlink()
    found = {one["name"]: one for one in here_json("diff", "main", *AS_OF, cwd=shop)["campaigns"]}
    hello, gone = found["hello"], found["win_back"]
    assert (hello["before"], hello["removed"], hello["unchanged"]) == (None, 0, 0)
    assert hello["causes"][0] == {"file": "campaigns/hello.yaml", "line": 1, "added": hello["after"], "removed": 0}
    assert (gone["after"], gone["added"], gone["unchanged"], gone["removed"]) == (None, 0, 0, gone["before"])


def test_every_form_says_the_same(shop: Path, here: Any, here_json: Any) -> None:
    edit(shop / "segments/lapsed_regulars.yaml", "at_least: 3", "at_least: 2")
    git(shop, "checkout", "-q", "-b", "wider")
    git(shop, "commit", "-q", "-a", "-m", "Two are enough")
    git(shop, "checkout", "-q", "main")
    try:
        words = ("main", "wider", *AS_OF)
        (one,) = [one for one in here_json("diff", *words, cwd=shop)["campaigns"] if one["added"]]
        added, removed = f"{one['added']:,}", f"{one['removed']:,}"
        text = here("diff", *words, cwd=shop).stdout
        assert f"segments/lapsed_regulars.yaml:4  +{added} −{removed}" in text
        markdown = here("diff", *words, "--format", "markdown", cwd=shop).stdout
        assert f"`segments/lapsed_regulars.yaml:4` +{added} −{removed}" in markdown
        assert one["samples"]["added"][0] not in markdown.replace(added, "").split("|")
        sarif = json.loads(here("--project", "shop", "diff", *words, "--format", "sarif", cwd=shop.parent).stdout)
        (run,) = sarif["runs"]
        assert sarif["version"] == "2.1.0"
        assert run["tool"]["driver"]["name"] == "maysend"
        rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
        for result in run["results"]:
            assert result["ruleId"] in rules
            assert result["level"] in ("none", "note", "warning", "error")
            assert result["message"]["text"]
            (place,) = result["locations"]
            assert place["physicalLocation"]["artifactLocation"]["uri"] == "shop/segments/lapsed_regulars.yaml"
            assert place["physicalLocation"]["region"]["startLine"] == 4
        assert f"win_back +{added} −{removed}" in run["results"][0]["message"]["text"]
    finally:
        git(shop, "branch", "-q", "-D", "wider")


def test_nothing_is_written_to_the_ledger(shop: Path, here_json: Any) -> None:
    """A group that is only proposed is not one that the ledger remembers, and then misses."""
    text = (shop / "subscription_groups/offers.yaml").read_text()
    (shop / "subscription_groups/proposed.yaml").write_text(text)
    found = here_json("diff", "main", *AS_OF, cwd=shop)["campaigns"]
    assert not [one for one in found if one["added"] or one["removed"]]
    with open_ledger("sqlite:///.maysend/ledger.db", shop) as ledger:
        assert "proposed" not in ledger.known_groups()


def test_two_directories(shop: Path, tmp_path: Path, here_json: Any) -> None:
    other = tmp_path / "other"
    shutil.copytree(shop, other)
    edit(other / "project.yaml", "percent: 5, salt: s1", "percent: 50, salt: s1")
    found = here_json("diff", other, shop, *AS_OF, cwd=tmp_path)
    causes = {(cause["file"], cause["line"]) for one in found["campaigns"] for cause in one["causes"][:-1]}
    assert causes == {("project.yaml", 9)}
    assert all(one["added"] > one["removed"] for one in found["campaigns"])


def test_a_guard_that_trips_is_named(shop: Path, here: Any) -> None:
    edit(shop / "segments/lapsed_regulars.yaml", "at_least: 3", "at_least: 2")
    with (shop / "campaigns/win_back.yaml").open("a") as file:
        file.write("guards: {max_change_percent: 50, max_audience: 5000, min_audience: 10}\n")
    said = here("diff", "main", *AS_OF, cwd=shop, code=1).stderr.splitlines()
    assert [line.partition("(max_")[2] for line in said] == ["audience: 5000)", "change_percent: 50)"]
    assert all(line.startswith("win_back: ") for line in said)


# Bad input: one clear line each


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("nowhere", 'there is no revision "nowhere" in this repository; "git fetch" may bring it'),
        ("main:shop", 'there is no revision "main:shop" in this repository; "git fetch" may bring it'),
        ("", 'there is no revision "" in this repository; "git fetch" may bring it'),
    ],
)
def test_a_revision_that_is_not_there(shop: Path, here: Any, revision: str, told: str) -> None:
    assert here("diff", revision, cwd=shop, code=2).stderr == f"{told}\n"


def test_a_revision_is_never_an_option_of_git(shop: Path, here: Any) -> None:
    said = here("diff", "--", "--output=owned", cwd=shop, code=2).stderr
    assert said == '"--output=owned" is no revision: none begins with "-"\n'
    assert not list(shop.parent.rglob("owned"))


def test_no_repository(tmp_path: Path, shop: Path, here: Any) -> None:
    shutil.copytree(shop, tmp_path / "shop")
    said = here("diff", "main", cwd=tmp_path / "shop", code=1).stderr
    assert said.count("\n") == 1
    assert "is in no git repository" in said


def test_a_shallow_clone_says_what_to_do(shop: Path, tmp_path: Path, here: Any) -> None:
    first = git(shop, "rev-parse", "HEAD")
    git(shop, "commit", "-q", "--allow-empty", "-m", "Another")
    git(tmp_path, "clone", "-q", "--depth", 1, f"file://{shop.parent}", "shallow")
    git(shop, "reset", "-q", "--hard", first)
    said = here("diff", first, cwd=tmp_path / "shallow/shop", code=2).stderr
    assert said == (
        f'there is no revision "{first}" in this shallow clone; run "git fetch --unshallow" '
        "(in GitHub Actions: fetch-depth: 0)\n"
    )


def test_problems_of_the_base_name_the_revision(shop: Path, here: Any) -> None:
    first = git(shop, "rev-parse", "HEAD")
    edit(shop / "campaigns/win_back.yaml", "lapsed_regulars", "lapsed_regular")
    git(shop, "commit", "-q", "-a", "-m", "A mistake")
    git(shop, "tag", "broken")
    git(shop, "reset", "-q", "--hard", first)
    said = here("diff", "broken", cwd=shop, code=1).stderr
    git(shop, "tag", "-d", "broken")
    assert said.startswith("broken:campaigns/win_back.yaml:4:")
    assert 'unknown segment "lapsed_regular"; did you mean "lapsed_regulars"?' in said
    assert said.count("\n") == 1


def test_a_dirty_tree_is_told_where_a_revision_is_meant(shop: Path, here: Any) -> None:
    edit(shop / "campaigns/win_back.yaml", "We miss you", "We miss you so")
    told = "the working tree has changes that are not committed; HEAD is compared without them\n"
    assert here("diff", "main", "HEAD", *AS_OF, cwd=shop).stderr == told
    assert here("diff", "main", *AS_OF, cwd=shop).stderr == ""


def test_it_works_where_git_sets_its_directory(shop: Path, maysend: Any) -> None:
    """As in a hook: GIT_DIR is relative, and to another directory than the project's."""
    env = {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index"}
    said = maysend("--project", "shop", "diff", "main", *AS_OF, cwd=shop.parent, env=env).stdout
    assert "the same people as before" in said


# Changes by strangers


def test_a_stranger_s_project_file_is_not_read(shop: Path, here: Any, here_json: Any) -> None:
    edit(shop / "project.yaml", "data/profiles.parquet", "/etc/passwd")
    edit(shop / "project.yaml", "sqlite:///.maysend/ledger.db", '"postgresql://${HOME}.example.com/x"')
    edit(shop / "segments/lapsed_regulars.yaml", "at_least: 3", "at_least: 2")
    assert here("diff", "main", *AS_OF, cwd=shop, code=1)
    found = here_json("diff", "main", *AS_OF, "--project-from", "base", cwd=shop)
    assert [one["name"] for one in found["campaigns"] if one["added"]] == ["win_back"]
    assert found["notes"] == ["project.yaml differs; both sides are evaluated with that of main"]


@pytest.mark.parametrize("source", ["/etc/passwd", "../../secret.csv", "https://example.com/x.csv", "data/*.csv"])
def test_a_stranger_s_list_stays_in_the_project(shop: Path, here: Any, source: str) -> None:
    (shop / "segments/mine.yaml").write_text(
        f'title: Mine\nwhere: {{in_list: {{source: "{source}", column: "root"}}}}\n'
    )
    said = here("diff", "main", *AS_OF, "--project-from", "base", cwd=shop, code=1).stderr
    assert said == (
        f'segments/mine.yaml:2:27: "{source}" is not one file in the project; the base has to name it first\n'
    )


def test_a_link_in_a_revision_is_not_followed(shop: Path, here: Any) -> None:
    first = git(shop, "rev-parse", "HEAD")
    (shop / "segments/link.yaml").symlink_to("/etc/hostname")
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "A link")
    git(shop, "tag", "linked")
    git(shop, "reset", "-q", "--hard", first)
    said = here("diff", "main", "linked", "--project-from", "base", cwd=shop, code=1).stderr
    git(shop, "tag", "-d", "linked")
    assert "segments/link.yaml: is a symbolic link" in said
