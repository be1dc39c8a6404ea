"""The reloader: it outlives whatever taking in a change may end in."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Event

import pytest

from maysend.errors import MaysendError
from maysend.web import reloading
from maysend.web.reloading import Reloader


def test_it_takes_in_the_change_after_one_that_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reloading, "SECONDS", 0.01)
    file, told = tmp_path / "project.yaml", list[str]()
    file.write_text("", "utf-8")
    endings: list[Exception | None] = [MaysendError("a problem"), OSError("gone"), None]

    def reload() -> None:
        if ending := endings[len(told)]:
            raise ending

    reloader = Reloader(tmp_path, reload, told.append)
    reloader.start()
    with caplog.at_level(logging.INFO, "maysend"):
        for number in range(1, 4):
            file.write_text("x" * number, "utf-8")
            deadline = time.monotonic() + 10
            while len(told) < number and time.monotonic() < deadline:
                time.sleep(0.01)
    reloader.stop()
    assert told == ["refused", "refused", "taken"]
    assert "serving the last valid ones" in caplog.text


def test_it_tries_again_what_something_else_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture that project.yaml names may come after it, and lies in no folder that is looked at."""
    monkeypatch.setattr(reloading, "SECONDS", 0.01)
    monkeypatch.setattr(reloading, "AGAIN", 0.05)
    told, tries, taken = list[str](), list[int](), Event()

    def reload() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise MaysendError("logo.svg cannot be read")
        taken.set()

    reloader = Reloader(tmp_path, reload, told.append)
    reloader.start()
    with caplog.at_level(logging.INFO, "maysend"):
        (tmp_path / "project.yaml").write_text("x", "utf-8")
        assert taken.wait(10)
        reloader.stop()
    assert told == ["refused", "taken"]
    assert caplog.text.count("logo.svg cannot be read") == 1
    assert len(tries) == 4


def test_it_sees_what_a_template_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "SECONDS", 0.01)
    (tmp_path / "pages" / "parts").mkdir(parents=True)
    taken = Event()
    reloader = Reloader(tmp_path, taken.set)
    reloader.start()
    (tmp_path / "pages" / "parts" / "head.html").write_text("x", "utf-8")
    assert taken.wait(10)
    reloader.stop()


def test_a_file_in_the_place_of_a_folder_is_for_others_to_tell(tmp_path: Path) -> None:
    (tmp_path / "segments").write_text("", "utf-8")
    reloader = Reloader(tmp_path, lambda: None)
    reloader.start()
    reloader.stop()


def test_it_outlives_a_disk_that_is_gone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reloading, "SECONDS", 0.01)
    taken = Event()
    reloader = Reloader(tmp_path, taken.set)
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR, "maysend"):
        patched.setattr(Reloader, "_look", _gone)
        reloader.start()
        deadline = time.monotonic() + 10
        while not caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    (tmp_path / "project.yaml").write_text("x", "utf-8")
    assert taken.wait(10)
    reloader.stop()
    assert "the declarations cannot be read; serving the last valid ones: stale" in caplog.text


def _gone(_: Reloader) -> None:
    raise OSError("stale")
