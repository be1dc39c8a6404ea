"""A third party's whole distribution, really installed: a project declares its channel, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin_whatsapp"
DECLARATIONS = {
    "channels/whatsapp.yaml": "type: whatsapp\naddress: mobile\n",
    "subscription_groups/parcels.yaml": (
        "title: Parcels\ndescription: Where yours is.\nchannel: whatsapp\n"
        "default: subscribed\nstatus: active\nvisibility: public\n"
    ),
    "campaigns/parcel_sent.yaml": (
        "title: Your parcel is on its way\nchannel: whatsapp\npurpose: marketing\n"
        "subscription_groups: {all: [parcels]}\n"
    ),
    "campaigns/news.yaml": "title: News\nchannel: whatsapp\npurpose: marketing\n",
    "profiles.csv": "id,mobile\n1,0049 (151) 555-0100\n2,+491515550101\n3,0151 5550102\n",
    "project.yaml": (
        "title: Parcels\ntimezone: UTC\nledger: sqlite:///.maysend/ledger.db\n"
        "profiles: {source: profiles.csv, key: id, columns: {id: integer, mobile: text}}\n"
    ),
}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the plugin is installed beside maysend."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, PLUGIN], check=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PYTHONPATH": str(target), "PATH": path}


def test_its_own_tests_pass(env: dict[str, str]) -> None:
    pytest_here = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        PLUGIN,
        PLUGIN / "tests",
    ]
    subprocess.run(pytest_here, check=True, env=os.environ | env)


def test_its_channel_is_opt_in(env: dict[str, str], tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    for name, text in DECLARATIONS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    maysend("init", cwd=tmp_path, env=env)
    maysend("validate", cwd=tmp_path, env=env)
    nobody = ["channel_unsubscribed", "channel_unsubscribed", "no_address"]
    assert decisions(tmp_path, maysend_json, env, "news") == nobody

    maysend("resubscribe", "whatsapp", "--address", "+49 151 5550100", cwd=tmp_path, env=env)

    assert decisions(tmp_path, maysend_json, env, "news") == ["included", *nobody[1:]]
    assert decisions(tmp_path, maysend_json, env, "parcel_sent")[0] == "included"


def decisions(project: Path, maysend_json: Any, env: dict[str, str], campaign: str) -> list[str]:
    return [maysend_json("explain", campaign, key, cwd=project, env=env)["reason"] for key in (1, 2, 3)]


def test_without_it_the_channel_is_a_problem(tmp_path: Path, maysend: Any) -> None:
    for name, text in DECLARATIONS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert "channels/whatsapp.yaml:1:7: " in maysend("validate", "--offline", cwd=tmp_path, code=1).stdout
