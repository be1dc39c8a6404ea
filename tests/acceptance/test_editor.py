"""An editor in a project that ``init`` made: the real yaml-language-server, over LSP, without a network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import npm
from maysend.loader import FOLDERS

SERVER = ("yaml-language-server", "2.0.0")


class Editor:
    """A client of a language server on a pipe: requests and their answers, and the problems it is told of."""

    def __init__(self, server: subprocess.Popen[bytes], root: Path) -> None:
        self.server = server
        self.count = 0
        self.root = root
        self.problems: dict[str, list[dict[str, Any]]] = {}

    def ask(self, method: str, **params: Any) -> Any:
        self.count += 1
        self._send({"id": self.count, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == self.count and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def open(self, file: str, text: str) -> str:
        uri = (self.root / file).as_uri()
        self.tell("textDocument/didOpen", textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
        return uri

    def problems_of(self, uri: str) -> list[str]:
        while uri not in self.problems:
            self._next()
        return [one["message"] for one in self.problems.pop(uri)]

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.server.stdin
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self.server.stdin.flush()

    def _next(self) -> dict[str, Any]:
        assert self.server.stdout
        length = 0
        while (line := self.server.stdout.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self.server.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.problems[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            settings = [{"validate": True, "completion": True, "schemaStore": {"enable": False}}, *[{}] * 9]
            wanted = message["params"].get("items", ()) if message["method"] == "workspace/configuration" else ()
            self._send({"id": message["id"], "result": settings[: len(wanted)]})
        return message


@pytest.fixture
def editor(tmp_path: Path, maysend: Any) -> Iterator[Editor]:
    program = npm.package(*SERVER) / "bin" / "yaml-language-server"
    maysend("init", "cinema", cwd=tmp_path)
    with subprocess.Popen(["node", program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        editor = Editor(server, tmp_path / "cinema")
        try:
            can = {"workspace": {"configuration": True}, "textDocument": {"completion": {}}}
            editor.ask("initialize", processId=None, rootUri=editor.root.as_uri(), capabilities=can)
            editor.tell("initialized")
            yield editor
        finally:
            server.kill()


@pytest.mark.soak
def test_it_finds_nothing_wrong_with_what_init_writes(editor: Editor) -> None:
    files = [
        editor.root / "project.yaml",
        *(file for folder in FOLDERS for file in (editor.root / folder).glob("*.yaml")),
    ]
    assert len(files) > 5
    for file in files:
        text = file.read_text()
        assert text.startswith("# yaml-language-server: $schema=")
        assert editor.problems_of(editor.open(str(file.relative_to(editor.root)), text)) == []


@pytest.mark.soak
def test_it_offers_our_keys_and_flags_a_bad_one(editor: Editor) -> None:
    first = (editor.root / "campaigns/next_week.yaml").read_text().splitlines()[0]
    bad = editor.open("campaigns/bad.yaml", f"{first}\nchannel: email\nsubscription_group: {{all: [offers]}}\n")
    assert any("subscription_group" in problem for problem in editor.problems_of(bad))
    uri = editor.open("campaigns/new.yaml", f"{first}\nchannel: email\nsub\n")
    editor.problems_of(uri)
    found = editor.ask("textDocument/completion", textDocument={"uri": uri}, position={"line": 2, "character": 3})
    offered = {item["label"] for item in (found["items"] if isinstance(found, dict) else found)}
    assert {"subscription_groups", "target_cap", "guards"} <= offered
    first = (editor.root / "segments/members.yaml").read_text().splitlines()[0]
    uri = editor.open("segments/new.yaml", f"{first}\nwhere:\n  all:\n    - property: age\n      at_lest: 18\n")
    assert any("at_lest" in problem for problem in editor.problems_of(uri))
