"""A real project on disk, and ``maysend serve`` over it as a process of its own on a free port of loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

from maysend import links, loader, plugins, tokens
from maysend.events import ChannelUnsubscribed
from maysend.ledger import open_ledger

FILES = {
    "project.yaml": (
        "title: The Morning Post\n"
        "profiles: {source: readers.csv, key: id, columns: {id: text, email: text, phone: text}}\n"
        'ledger: "${LEDGER}"\n'
        'pages: {base_url: "https://mail.example.com", origins: ["https://post.example"]}\n'
        "feedback: {smtp_v2: {channel: email, secret: s3cret}}\n"
        "replies: {sms: {secret: s3cret}}\n"
    ),
    "readers.csv": "id,email,phone\n1,Ann@Example.com,+15551230001\n2,ben@example.com,+15551230002\n3,,\n",
    "channels/email.yaml": "type: email\naddress: email\n",
    "channels/sms.yaml": "type: sms\naddress: phone\n",
    "subscription_groups/news.yaml": (
        "title: News & views\ndescription: Every <b>morning</b>.\nchannel: email\ndefault: subscribed\n"
    ),
    "subscription_groups/offers.yaml": "title: Offers\nchannel: email\ndefault: subscribed\n",
    "subscription_groups/concerts.yaml": "title: Concerts\nchannel: email\ndefault: unsubscribed\n",
    "subscription_groups/club.yaml": "title: The club\nchannel: email\ndefault: unsubscribed\nvisibility: private\n",
    "subscription_groups/surveys.yaml": (
        "title: Surveys\nchannel: email\ndefault: subscribed\nvisibility: if_subscribed\n"
    ),
    "subscription_groups/letter.yaml": "title: The letter\nchannel: email\ndefault: subscribed\nstatus: archived\n",
    "subscription_groups/alerts.yaml": "title: Alerts\nchannel: sms\ndefault: subscribed\n",
    "campaigns/daily.yaml": "title: Daily\nchannel: email\nsubscription_groups: {all: [news]}\n",
    "campaigns/weekend.yaml": "title: Weekend\nchannel: email\nsubscription_groups: {any: [news, offers, club]}\n",
    "campaigns/hello.yaml": "title: Hello\nchannel: email\n",
    "campaigns/flash.yaml": "title: Flash\nchannel: sms\nsubscription_groups: {all: [alerts]}\n",
}
Fresh = Callable[..., str]
"""Makes a token of a campaign's link to somebody who never answered; see ``Server.fresh``."""

KEY = tokens.new_key()


@dataclass
class Server:
    """A running server, and the project it serves."""

    url: str
    root: Path
    ledger: str
    process: subprocess.Popen[str]
    log: list[str]
    newcomers: Iterator[int] = field(default_factory=lambda: count(1000))

    def fresh(self, campaign: str, *, test: bool = False, key: str = KEY) -> str:
        """A token of a campaign's link to somebody who never answered."""
        who = f"p{next(self.newcomers)}"
        return token_of(self.root, campaign, who, f"{who}@example.com", test=test, key=key)

    def events(self) -> list[ChannelUnsubscribed]:
        """Everything in the ledger."""
        with open_ledger(self.ledger, self.root) as ledger:
            return list(ledger.events())


class Form(HTMLParser):
    """The (only) form of a page, as a browser would send it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action, self.hidden, self.on, self.off = (
            "",
            dict[str, str](),
            list[tuple[str, str]](),
            list[tuple[str, str]](),
        )
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert named["method"] == "post"
            self.action = named["action"]
        elif tag == "input" and named["type"] == "hidden":
            self.hidden[named["name"]] = named["value"]
        elif tag == "input":
            (self.on if "checked" in named else self.off).append((named["name"], named["value"]))

    def body(self, *flipped: tuple[str, str]) -> dict[str, Any]:
        on = [pair for pair in self.on if pair not in flipped] + [pair for pair in self.off if pair in flipped]
        body: dict[str, Any] = dict(self.hidden)
        for name, value in on:
            body.setdefault(name, []).append(value)
        return body


def token_of(
    root: Path, campaign: str, profile: str | None, address: str | None, *, test: bool = False, key: str = KEY
) -> str:
    project = loader.load(root, plugins.load())
    sealer = links.sealer(project.campaigns[campaign], tokens.read_keys(key), test=test)
    return sealer.seal(profile, address)


def write(root: Path, ledger: str, files: Mapping[str, str] = FILES) -> None:
    """Write a project, its ledger at ``ledger``."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.replace("${LEDGER}", ledger), "utf-8")


@contextmanager
def serving(root: Path, ledger: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve the project in ``root``, making its ledger where it is missing; it must end well in the end."""
    open_ledger(ledger, root, create=True).close()
    environment = os.environ | {"MAYSEND_KEYS": KEY} | dict(env or {})
    program = Path(sys.executable).with_name("maysend")
    process = subprocess.Popen(
        [program, "--project", str(root), "serve", "--port", "0", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    log: list[str] = []
    for line in process.stderr:
        log.append(line)
        if found := re.search(r"serving .* at (http://\S+)", line):
            break
    else:
        raise AssertionError(f"the server did not start: {''.join(log)}")
    reader = Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield Server(found[1], root, ledger, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        finally:
            process.kill()
            reader.join(5)
            process.stderr.close()
    assert code == 0, f"exit code {code}: {''.join(log)}"
    assert "Traceback" not in "".join(log), "".join(log)
