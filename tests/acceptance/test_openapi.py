"""The OpenAPI document against the server that serves it: schemathesis makes up requests, and checks the answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import Server

pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra: dev)")


@pytest.mark.parametrize("tokens", ["valid", "made up"])
def test_schemathesis_finds_nothing(server: Server, tmp_path: Path, tokens: str) -> None:
    document: dict[str, Any] = httpx.get(f"{server.url}/api/openapi.json").json()
    if tokens == "valid":
        document["paths"]["/api/preferences/{token}"]["parameters"][0]["schema"] = {"enum": [server.fresh("weekend")]}
        groups = document["components"]["schemas"]["Changes"]["properties"]["groups"]
        groups["propertyNames"] = {"enum": ["news", "offers", "concerts", "surveys", "club"]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document), "utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    options = ("--max-examples", "40", "--no-color", "--generation-deterministic", "--suppress-health-check", "all")
    done = subprocess.run(
        [program, "run", file, "--url", server.url, *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
