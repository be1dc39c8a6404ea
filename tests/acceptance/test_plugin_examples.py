"""Whole distributions of third parties: those of examples/, and the one that ``init --plugin`` writes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import write

REPOSITORY = Path(__file__).parents[2]
BRAND_PAGE = REPOSITORY / "examples" / "plugin_brand_page"
WHATSAPP = REPOSITORY / "examples" / "plugin_whatsapp"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
PARCELS = {
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
        'replies: {whatsapp: {secret: "${REPLIES_SECRET}"}}\n'
    ),
}


def install(target: Path, distribution: Path) -> dict[str, str]:
    """Install a distribution beside maysend, and return the environment that finds it there."""
    command = [sys.executable, *PIP, "--no-deps", "--no-build-isolation", "--target", target, distribution]
    subprocess.run(command, check=True)
    return {"PYTHONPATH": str(target), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run_its_tests(distribution: Path, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", distribution]
    subprocess.run([*command, distribution / "tests"], check=True, env=os.environ | env)


def test_the_brand_page_is_what_a_project_shows(tmp_path: Path, maysend: Any) -> None:
    env = install(tmp_path / "installed", BRAND_PAGE)
    run_its_tests(BRAND_PAGE, env)
    project = tmp_path / "project"
    maysend("init", project, cwd=tmp_path, env=env)
    settings = project / "project.yaml"
    shown = settings.read_text("utf-8").replace("pages: {", "pages: {renderer: record_sleeve, ")
    settings.write_text(shown, "utf-8")
    maysend("validate", "--offline", cwd=project, env=env)
    assert 'unknown page renderer "record_sleeve"' in maysend("validate", "--offline", cwd=project, code=1).stdout


def test_init_writes_a_plugin_whose_tests_pass(tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    maysend("init", "--plugin", "carrier_drone", cwd=tmp_path)
    written = tmp_path / "maysend-carrier-drone"
    env = install(tmp_path / "installed", written)
    run_its_tests(written, env)
    (plugin,) = (
        one for one in maysend_json("plugins", cwd=tmp_path, env=env)["plugins"] if one["distribution"] != "maysend"
    )
    assert (plugin["distribution"], plugin["channel_types"]) == ("maysend-carrier-drone", ["carrier_drone"])

    assert "is there already" in maysend("init", "--plugin", "carrier_drone", cwd=tmp_path, code=1).stderr
    assert "cannot be a name" in maysend("init", "--plugin", "Drone!", cwd=tmp_path, code=2).stderr


def test_a_channel_of_a_third_party_is_opt_in_with_no_change_to_the_engine(
    tmp_path: Path, maysend: Any, maysend_json: Any
) -> None:
    env = install(tmp_path / "installed", WHATSAPP) | {"REPLIES_SECRET": "s3cret"}
    run_its_tests(WHATSAPP, env)
    project = tmp_path / "project"
    write(project, "", PARCELS)

    def decisions(campaign: str) -> list[str]:
        return [maysend_json("explain", campaign, key, cwd=project, env=env)["reason"] for key in (1, 2, 3)]

    maysend("init", cwd=project, env=env)
    maysend("validate", cwd=project, env=env)
    nobody = ["channel_unsubscribed", "channel_unsubscribed", "no_address"]
    assert decisions("news") == nobody
    maysend("resubscribe", "whatsapp", "--address", "+49 151 5550100", cwd=project, env=env)
    assert decisions("news") == ["included", *nobody[1:]]
    assert decisions("parcel_sent")[0] == "included"
    alone = maysend("validate", "--offline", cwd=project, code=1, env={"REPLIES_SECRET": "s3cret"}).stdout
    assert "channels/whatsapp.yaml:1:7: " in alone, "without the plugin the channel is a problem"


@pytest.mark.soak
def test_in_a_fresh_environment_a_team_installs_its_channel_and_is_done(tmp_path: Path) -> None:
    """Nothing of this repository's own environment: ``pip install .`` and ``pip install examples/plugin_whatsapp``."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python, program = home / "bin" / "python", home / "bin" / "maysend"
    subprocess.run([python, *PIP, f"{REPOSITORY}[server]"], check=True)
    subprocess.run([python, *PIP, WHATSAPP], check=True)
    root = tmp_path / "project"
    write(root, "", PARCELS)
    env = {"PATH": os.environ["PATH"], "REPLIES_SECRET": "s3cret"}

    def run(*arguments: str) -> Any:
        command = [program, *arguments]
        return subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True).stdout

    def included() -> int:
        (campaign,) = json.loads(run("evaluate", "news", "--no-audiences", "--json"))["campaigns"]
        return int(campaign["included"])

    run("init")
    run("validate")
    assert included() == 0, "nobody is subscribed until they opt in"
    run("resubscribe", "whatsapp", "--address", "+491515550100")
    assert included() == 1

    env["MAYSEND_KEYS"] = run("keys", "new").strip().partition("=")[2]
    server = subprocess.Popen([program, "serve", "--port", "0"], cwd=root, env=env, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    url = next(found[1] for line in server.stderr if (found := re.search(r"serving .* at (http://\S+)", line)))
    reply = {"from": "0049 151 5550100", "body": "Stop."}
    answer = httpx.post(f"{url}/replies/whatsapp", data=reply, headers={"authorization": "Bearer s3cret"}, timeout=30)
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    assert (answer.status_code, answer.json()["changed"]) == (200, 1)
    assert included() == 0
    (left,) = json.loads(run("history", "--address", "+491515550100", "--json"))["events"][1:]
    assert (left["source"], left["resubscribed"]) == ("reply", False)
