"""Take the pictures in ``images/`` of the pages, with the CDNOW store of ``config/``: ``python docs/screenshots.py``.

Needs playwright and Chromium (on the PATH as ``chromium``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from maysend.tokens import VARIABLE, new_key

DOCS = Path(__file__).parent
CONFIG = DOCS.parent / "config"
MAYSEND = Path(sys.executable).with_name("maysend")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PAGES = '\npages: {base_url: "http://127.0.0.1", colours: {accent: "#7a3b1e", accent_dark: "#f0a884"}}\n'
DESKTOP = {"viewport": {"width": 900, "height": 560}, "device_scale_factor": 2}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}


def main() -> None:
    os.environ[VARIABLE] = new_key()
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        links = run(Path(directory), "links", "jazz_weekend", "--profile", "2", "--json")
        group, preferences = (
            url + re.sub(r"^https?://[^/]+", "", links[f"{page}_page"]) for page in ("group", "preference")
        )

        def take(name: str, address: str, *, click: str = "", full_page: bool = True, **kind: Any) -> None:
            context = browser.new_context(**DESKTOP | kind)
            page = context.new_page()
            page.goto(address)
            if click:
                page.get_by_role("button", name=click).click()
            page.screenshot(path=DOCS / "images" / f"{name}.png", full_page=full_page)
            context.close()

        take("group_page", group)
        take("preference_page", preferences)
        take("preference_page_dark", preferences, color_scheme="dark")
        take("preference_page_phone_hi", preferences, locale="hi", **PHONE)
        take("group_page_phone_ar", group, locale="ar", **PHONE)
        take("left_page", group, click="Unsubscribe")
        run(Path(directory), "import", "data/answers.csv")
        run(Path(directory), "report", "--as-of", "1998-07-01")
        report = (Path(directory) / "report.html").as_uri()
        take("report", report, full_page=False, viewport={"width": 1200, "height": 1000}, device_scale_factor=1)
        browser.close()


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The store, copied and served on a free port."""
    shutil.copytree(CONFIG, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".maysend", "out"))
    settings = re.sub(r"\npages:.*\n", "\n", (root / "project.yaml").read_text("utf-8"))
    (root / "project.yaml").write_text(settings.rstrip() + PAGES, "utf-8")
    run(root, "init", ".")
    process = subprocess.Popen(  # noqa: S603 - our own program
        [MAYSEND, "serve", "--port", "0"], cwd=root, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found
    yield found[0]
    process.terminate()
    process.wait()


def run(root: Path, *arguments: str) -> Any:
    done = subprocess.run(  # noqa: S603 - our own program
        [MAYSEND, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout) if "--json" in arguments else None


if __name__ == "__main__":
    main()
