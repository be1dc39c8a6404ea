"""``maysend validate`` and ``maysend schema``, as people and scripts call them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maysend.schemas import KINDS

SOUND = Path(__file__).parent / "broken" / "sound"
Run = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, maysend: Run) -> Path:
    """The sound project with its ledger; Ada left the offers by e-mail."""
    root = tmp_path / "project"
    shutil.copytree(SOUND, root)
    maysend("init", cwd=root)
    maysend("unsubscribe", "email", "--address", "Ada@Example.com", "--group", "offers", cwd=root)
    return root


def test_offline_needs_neither_data_nor_ledger_and_says_what_it_skipped(tmp_path: Path, maysend: Run) -> None:
    root = tmp_path / "project"
    shutil.copytree(SOUND, root, ignore=shutil.ignore_patterns("data"))
    done = maysend("validate", "--offline", cwd=root / "campaigns")
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "Skipped: the data and the ledger; 5 columns whose types project.yaml does not declare.",
        "1 campaign, 2 segments, 4 groups, 2 channels: no problems",
    ]
    assert not (root / ".maysend").exists()


def test_offline_goes_by_the_declared_types(tmp_path: Path, maysend: Run) -> None:
    root = tmp_path / "project"
    shutil.copytree(SOUND, root, ignore=shutil.ignore_patterns("data"))
    (root / "segments" / "norwegians.yaml").write_text(
        "where: {any: [{property: age, equals: NO}, {property: cuontry, in: [NO]}]}"
    )
    done = maysend("validate", "--offline", cwd=root, code=1)
    assert done.stdout == 'segments/norwegians.yaml:1:39: "age" is a number, and "NO" is not\n'


def test_it_imports_what_it_needs_and_ends_in_silence(project: Path, maysend: Run) -> None:
    def imported(*arguments: str) -> set[str]:
        program = (
            "import sys; from maysend.cli import maysend; "
            f"maysend(['validate', *{arguments}], standalone_mode=False); print(*sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=project)
        return set(done.stdout.splitlines()[-1].split())

    assert not imported("--offline") & {"sqlglot", "duckdb", "sqlalchemy", "rich", "asyncio"}
    assert not imported() & {"sqlalchemy", "alembic", "rich", "asyncio", "maysend.targeting.plan"}
    assert maysend("validate", cwd=project).stderr == "1 campaign, 2 segments, 4 groups, 2 channels: no problems\n"


def test_operands_of_one_column_are_each_looked_at(project: Path, maysend: Run) -> None:
    (project / "segments" / "mixed.yaml").write_text(
        "where:\n  any:\n    - {property: age, in: [1, 2]}\n    - {property: age, in: [3, NO]}\n"
        "    - {property: age, in: [true, 4]}\n    - {property: age, equals: 5}\n    - {property: age, equals: old}\n"
        "    - {property: joined, equals: 2024-01-31}\n    - {property: joined, equals: 2024-01-32}\n"
    )
    assert maysend("validate", cwd=project, code=1).stdout.splitlines() == [
        'segments/mixed.yaml:4:27: "age" is a number, and "NO" is not',
        'segments/mixed.yaml:5:27: "age" is a number, and true is not',
        'segments/mixed.yaml:7:31: "age" is a number, and "old" is not',
        'segments/mixed.yaml:9:34: "joined" is a date, and "2024-01-32" is not one such as 2024-01-31',
    ]


def test_json_has_every_problem_with_its_place(project: Path, maysend_json: Run) -> None:
    assert maysend_json("validate", cwd=project) == {"problems": []}
    (project / "campaigns" / "win_back.yaml").write_text("chanel: email\n")
    assert maysend_json("validate", cwd=project, code=1) == {
        "problems": [
            {
                "file": "campaigns/win_back.yaml",
                "line": 1,
                "column": 1,
                "message": 'unknown key "chanel"; did you mean "channel"?',
            }
        ]
    }


def test_where_there_is_no_project_one_line_says_so(tmp_path: Path, maysend: Run) -> None:
    done = maysend("validate", "--project", tmp_path, cwd=tmp_path, code=1)
    assert done.stderr == f'no project.yaml in {tmp_path}; "maysend init DIR" makes an example project\n'
    assert maysend("validate", "--project", "nowhere", cwd=tmp_path, code=2).stderr == "nowhere is not a directory\n"


def test_a_deleted_group_is_a_problem_until_it_is_back_and_archived(project: Path, maysend: Run) -> None:
    file = project / "subscription_groups" / "concerts.yaml"
    text = file.read_text()
    file.unlink()
    assert maysend("validate", cwd=project, code=1).stdout == (
        'subscription_groups/concerts.yaml:0:0: subscription group "concerts" is in the ledger and no longer here; '
        "archive it (status: archived), do not delete it\n"
    )
    assert "is in the ledger" in maysend("evaluate", cwd=project, code=1).stderr
    maysend("validate", "--offline", cwd=project)
    file.write_text(text)
    maysend("validate", cwd=project)


def test_a_flipped_default_is_a_problem_with_the_number_of_people_until_acknowledged(
    project: Path, maysend: Run
) -> None:
    file = project / "subscription_groups" / "offers.yaml"
    file.write_text(file.read_text().replace("default: subscribed", "default: unsubscribed"))
    message = 'subscription_groups/offers.yaml:3:10: default was "subscribed"; "unsubscribed" would move 2 people who '
    assert maysend("validate", cwd=project, code=1).stdout.startswith(message)
    assert maysend("evaluate", cwd=project, code=1).stderr.startswith(message)
    file.write_text(file.read_text() + "acknowledge: From July on we ask first.\n")
    maysend("validate", cwd=project)
    maysend("evaluate", "--no-audiences", cwd=project)
    back = file.read_text().replace("default: unsubscribed", "default: subscribed")
    file.write_text(back)
    told = maysend("validate", cwd=project, code=1).stdout
    assert told.startswith(
        'subscription_groups/offers.yaml:3:10: default was "unsubscribed"; "subscribed" would move 2 '
    )
    assert 'say why under "acknowledge" in new words: these were there before' in told
    file.write_text(back.replace("From July on we ask first", "We were wrong"))
    maysend("validate", cwd=project)
    maysend("evaluate", "--no-audiences", cwd=project)
    file.write_text(back.replace("acknowledge: From July on we ask first.\n", ""))
    maysend("validate", cwd=project)


def test_no_acknowledgement_takes_a_group_to_another_channel(project: Path, maysend: Run) -> None:
    """Its answers stay where they were given: whoever left would be in its audiences again."""
    (project / "channels" / "office.yaml").write_text((project / "channels" / "email.yaml").read_text())
    file = project / "subscription_groups" / "concerts.yaml"
    file.write_text(file.read_text().replace("channel: email", "channel: office") + "acknowledge: We moved.\n")
    told = maysend("validate", cwd=project, code=1).stdout
    assert 'subscription group "concerts" was on channel "email", and its answers stay there' in told


@pytest.mark.parametrize("kind", KINDS)
def test_schema_prints_the_json_schema_of_a_kind(kind: str, tmp_path: Path, maysend: Run) -> None:
    printed = json.loads(maysend("schema", kind, cwd=tmp_path).stdout)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed["additionalProperties"] is False


def test_an_unknown_kind_is_wrong_usage(tmp_path: Path, maysend: Run) -> None:
    done = maysend("schema", "campain", cwd=tmp_path, code=2)
    assert done.stderr == 'there is no kind of declaration "campain"; did you mean "campaign"?\n'
