"""``maysend report``: its numbers are those of the evaluation and of the ledger, and its page stands alone."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine import World, loaded_plugins, loaded_project, record, write_project
from maysend import report, runner
from maysend.ledger import open_ledger
from maysend.report import pictures

CONFIG = Path(__file__).parents[2] / "config"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AS_OF = ("--as-of", "1998-07-01")

pytest.importorskip("vl_convert", reason="vl-convert-python is not installed (extra: report)")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, maysend: Any) -> Path:
    """The CDNOW store with its ledger, and ``report.html`` beside it."""
    root = tmp_path_factory.mktemp("report") / "config"
    shutil.copytree(CONFIG, root, ignore=shutil.ignore_patterns(".maysend", "out"))
    maysend("import", "--create", "data/answers.csv", cwd=root)
    maysend("report", *AS_OF, cwd=root)
    return root


@pytest.fixture(scope="module")
def numbers(store: Path, maysend_json: Any) -> Any:
    return maysend_json("report", *AS_OF, cwd=store)


def test_its_numbers_are_those_of_the_evaluation(store: Path, numbers: Any, maysend_json: Any) -> None:
    evaluated = maysend_json("evaluate", *AS_OF, "--out", "out", cwd=store)
    assert {name: numbers[name] for name in ("as_of", "population", "campaigns")} == evaluated
    audiences = {
        file.stem: {key for key, _ in duckdb.read_parquet(str(file)).fetchall()} for file in store.glob("out/*.parquet")
    }
    assert {tuple(pair["campaigns"]): pair["profiles"] for pair in numbers["overlap"]} == {
        (one, other): len(audiences[one] & audiences[other]) for one, other in combinations(sorted(audiences), 2)
    }
    reached = Counter(key for audience in audiences.values() for key in audience)
    messages = Counter(reached.values()) | Counter({0: evaluated["population"] - len(reached)})
    assert {one["messages"]: one["profiles"] for one in numbers["messages_per_profile"]} == messages
    lost = Counter[str]()
    for campaign in evaluated["campaigns"]:
        lost += Counter(campaign["excluded"])
    assert numbers["lost"] == {"frequency_capped": 0} | lost


def test_its_answers_are_those_of_the_ledger(store: Path, numbers: Any) -> None:
    with open_ledger("sqlite:///.maysend/ledger.db", store) as ledger:
        events = list(ledger.events())
    said = Counter((f"{one.occurred_at:%Y-%m}-01", one.channel, one.group, one.resubscribed) for one in events)
    told = Counter[Any]()
    for one in numbers["answers"]:
        for yes, word in ((True, "subscribed"), (False, "unsubscribed")):
            told[one["period"], one["channel"], one["group"], yes] += one[word]
    assert numbers["periods"]["answers"] == "month"
    assert +told == said
    yes = sum(event.resubscribed for event in events)
    assert numbers["answers_by_source"] == [{"source": "import", "subscribed": yes, "unsubscribed": len(events) - yes}]


def test_its_sends_are_those_of_the_table_until_as_of(store: Path, numbers: Any) -> None:
    query = f"""
        SELECT CAST(CAST(sent_at AS DATE) AS VARCHAR), channel, count(*), count(DISTINCT customer_id)
        FROM '{store}/data/sends.parquet' WHERE sent_at <= TIMESTAMP '1998-07-01' GROUP BY ALL ORDER BY ALL
    """
    found = [(one["period"], one["channel"], one["messages"], one["people"]) for one in numbers["sends"]]
    assert found == duckdb.sql(query).fetchall()


def test_overlap_counts_across_channels_and_blocks(tmp_path: Path) -> None:
    campaigns: dict[str, Any] = {
        f"c{number}": {"channel": "email", "audience": {"include": [f"s{number % 7}"]}} for number in range(130)
    }
    campaigns |= {f"t{number}": {"channel": "sms", "audience": {"include": [f"s{number}"]}} for number in range(3)}
    world: World = {
        "as_of": "2024-06-01T00:00:00+00:00",
        "columns": {"id": "integer", "email": "text", "phone": "text", "age": "integer"},
        "profiles": [
            {"id": n, "email": f"p{n}@example.com", "phone": f"+12025550{100 + n}", "age": n % 10} for n in range(40)
        ],
        "channels": {"email": {"type": "email", "address": "email"}, "sms": {"type": "sms", "address": "phone"}},
        "segments": {f"s{n}": {"property": "age", "between": [n, n + 3]} for n in range(7)},
        "campaigns": campaigns,
    }
    write_project(world, tmp_path)
    record(world, tmp_path)
    project = loaded_project(tmp_path)
    as_of = datetime.fromisoformat(world["as_of"])
    reasons = runner.decide(project, as_of, loaded_plugins())
    audiences = [{key for key, why in of.items() if why == "included"} for _, of in sorted(reasons.items())]
    with runner.opened(project, as_of, loaded_plugins()) as run:
        found = report.gather(run, runner.chosen(project, ()))
    assert found.overlap == [[len(one & other) for other in audiences] for one in audiences]
    counted = Counter(sum(key in audience for audience in audiences) for key in reasons["c0"])
    assert {many: people for many, people in found.messages.items() if people} == counted


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(store: Path) -> None:
    text = (store / "report.html").read_text("utf-8")
    elements = Elements(text).found
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & {tag for tag, _ in elements}
    attributes = [(name, value) for _, pairs in elements for name, value in pairs.items()]
    assert not {"href", "src", "style", "xlink:href", "srcset", "onclick"} & {name for name, _ in attributes}
    assert not re.search(r"url\((?!#)", text)
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {value for name, value in attributes if name == "aria-labelledby" for value in (value or "").split()}
    assert named <= set(ids)
    figures = sum(tag == "svg" for tag, _ in elements)
    assert figures >= 20
    assert figures == sum(tag == "table" for tag, _ in elements)


def test_a_title_is_text_and_nothing_else(store: Path, tmp_path: Path, maysend: Any) -> None:
    root = tmp_path / "store"
    shutil.copytree(store, root)
    file = root / "campaigns" / "win_back.yaml"
    file.write_text(file.read_text().replace("We miss you", "\"<script>alert('שלום')</script>\""), "utf-8")
    maysend("report", "win_back", *AS_OF, "--out", tmp_path / "one.html", cwd=root)
    text = (tmp_path / "one.html").read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text


def test_without_the_extra_one_line_says_what_to_install(
    store: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda _: None)
    done = here("report", *AS_OF, cwd=store, code=1)
    assert done.stderr == "the report's charts need: pip install 'maysend[report]'\n"
    here("report", "win_back", *AS_OF, "--json", cwd=store)


def test_a_file_that_cannot_be_written_leaves_what_was_there(store: Path, tmp_path: Path, maysend: Any) -> None:
    done = maysend("report", "win_back", *AS_OF, "--out", tmp_path / "no" / "report.html", cwd=store, code=1)
    assert done.stderr.endswith("report.html: cannot be written: No such file or directory\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
    if not CHROMIUM:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=("--headless", "--no-sandbox", "--disable-gpu")
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_axe_and_asks_for_nothing(scheme: str, store: Path, chromium: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = chromium.new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto((store / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    results = axe.Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert requests == [(store / "report.html").as_uri()]
    assert messages == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()
