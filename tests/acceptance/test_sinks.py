"""The built-in sinks against the servers they are for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

import receiving
from delivering import answer, write_project
from maysend import CloudEvent, DeliveryError, plugins
from maysend.ledger import open_ledger
from receiving import Posted, Receiver

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of secret words").decode()
LEDGER = "sqlite:///ledger.db"
EVENT = CloudEvent(seq=1, id="1", key="k", data={}, body=b"{}")


@pytest.fixture(params=[receiving.redis, receiving.nats, receiving.rabbitmq, receiving.postgres, receiving.kafka])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made: Receiver = request.param()
    yield made
    made.remove()


@pytest.fixture
def endpoint() -> Iterator[receiving.Endpoint]:
    with receiving.endpoint() as made:
        yield made


def in_order_per_person(events: Sequence[dict[str, Any]]) -> bool:
    people: dict[str, list[int]] = {}
    for event in events:
        people.setdefault(event["data"]["address"], []).append(event["data"]["seq"])
    return all(seqs == sorted(seqs) for seqs in people.values())


def test_every_event_arrives_once_and_in_order(tmp_path: Path, maysend: Any, receiver: Receiver) -> None:
    write_project(tmp_path, [{"type": receiver.type, **receiver.settings}])
    with open_ledger(LEDGER, tmp_path) as ledger:
        recorded = answer(ledger, 300)
    assert maysend("deliver", cwd=tmp_path).stdout == f"{receiver.type}: 300 delivered\n"
    events = receiver.events()
    assert sorted(event["id"] for event in events) == sorted(event.event_id for event in recorded)
    assert in_order_per_person(events)
    assert {event["data"]["event_id"]: event["data"] for event in events} == {
        event.event_id: event.as_json() for event in recorded
    }


def test_a_replay_brings_the_same_ids(tmp_path: Path, maysend: Any, maysend_json: Any, receiver: Receiver) -> None:
    write_project(tmp_path, [{"type": receiver.type, "name": "warehouse", **receiver.settings}])
    with open_ledger(LEDGER, tmp_path) as ledger:
        recorded = answer(ledger, 20)
    maysend("deliver", cwd=tmp_path)
    done = maysend_json("deliver", "--sink", "warehouse", "--since", 10, cwd=tmp_path)
    assert done == {"sinks": [{"name": "warehouse", "delivered": 10, "rejected": 0, "error": None}]}
    ids = [event["id"] for event in receiver.events()]
    assert set(ids) == {event.event_id for event in recorded}
    assert len(ids) == (20 if receiver.type in ("nats", "postgres") else 30), "these two know an event by its id"


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, maysend: Any) -> None:
    nowhere = {
        "redis": {"url": "redis://:hush-hush@127.0.0.1:9/0"},
        "nats": {"url": "nats://ann:hush-hush@127.0.0.1:9"},
        "rabbitmq": {"url": "amqp://ann:hush-hush@127.0.0.1:9/"},
        "postgres": {"url": "postgresql://ann:hush-hush@127.0.0.1:9/test"},
        "webhook": {"url": "http://127.0.0.1:9/", "secret": SECRET},
    }
    sinks = [{"type": name, **settings} for name, settings in nowhere.items()]
    write_project(tmp_path, [*sinks, {"type": "jsonl", "path": "events.jsonl"}])
    with open_ledger(LEDGER, tmp_path) as ledger:
        answer(ledger, 3)
    done = maysend("deliver", cwd=tmp_path, code=1)
    lines = done.stdout.splitlines()
    assert lines[-1] == "jsonl: 3 delivered"
    assert [line.partition(";")[0] for line in lines[:-1]] == [f"{name}: 0 delivered" for name in nowhere]
    assert "hush-hush" not in done.stdout + done.stderr
    status = maysend("deliver", "--status", cwd=tmp_path)
    assert "hush-hush" not in status.stdout
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 3


def test_a_webhook_is_verified_by_other_people_s_packages(
    tmp_path: Path, maysend: Any, endpoint: receiving.Endpoint
) -> None:
    write_project(tmp_path, [{"type": "webhook", "url": endpoint.url, "secret": "${HOOK_SECRET}"}])
    env = {"HOOK_SECRET": SECRET}
    with open_ledger(LEDGER, tmp_path) as ledger:
        recorded = answer(ledger, 45)
    maysend("deliver", cwd=tmp_path, env=env)
    assert len(endpoint.posted) == 45
    for posted, event in zip(endpoint.posted, recorded, strict=True):
        Webhook(SECRET).verify(posted.body, posted.headers)
        parsed = from_http_event(HTTPMessage(posted.headers, posted.body))
        assert parsed.get_id() == posted.headers["webhook-id"] == event.event_id
        assert parsed.get_data() == event.as_json()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 404, 401, 302])
def test_what_a_receiver_does_not_take_now_comes_again(
    status: int, tmp_path: Path, maysend: Any, endpoint: receiving.Endpoint
) -> None:
    answers = iter([204, 204, status])
    endpoint.answer = lambda _: next(answers, 204)
    write_project(tmp_path, [{"type": "webhook", "url": endpoint.url, "secret": SECRET}])
    with open_ledger(LEDGER, tmp_path) as ledger:
        recorded = answer(ledger, 6)
    done = maysend("deliver", cwd=tmp_path)
    assert [posted.headers["webhook-id"] for posted in endpoint.posted] == [event.event_id for event in recorded]
    assert done.stderr == f'sink "webhook": {endpoint.url.removesuffix("/hook")} answered {status}\n'


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_a_receiver_never_takes_is_a_dead_letter(
    status: int, tmp_path: Path, maysend_json: Any, maysend: Any, endpoint: receiving.Endpoint
) -> None:
    with open_ledger(LEDGER, tmp_path, create=True) as ledger:
        recorded = answer(ledger, 6)
    bad = recorded[2].event_id
    endpoint.answer = lambda posted: status if posted.headers["webhook-id"] == bad else 200
    write_project(tmp_path, [{"type": "webhook", "url": endpoint.url, "secret": SECRET}])
    maysend("deliver", cwd=tmp_path)
    (sink,) = maysend_json("deliver", "--status", cwd=tmp_path)["sinks"]
    (letter,) = sink.pop("dead_letters")
    assert (letter["seq"], letter["event_id"]) == (3, bad)
    assert letter["reason"] == f"{endpoint.url.removesuffix('/hook')} answered {status}"
    assert (sink["name"], sink["lag"], sink["last_error"]) == ("webhook", 0, None)
    assert len(endpoint.posted) == 5
    assert f"event 3 ({bad})" in maysend("deliver", "--status", cwd=tmp_path).stderr


def test_a_receiver_that_does_not_answer_is_left_after_its_timeout(
    tmp_path: Path, maysend: Any, endpoint: receiving.Endpoint
) -> None:
    def hang_once(_: Posted) -> int:
        endpoint.answer = lambda _: 204
        return 0

    endpoint.answer = hang_once
    write_project(tmp_path, [{"type": "webhook", "url": endpoint.url, "secret": SECRET, "timeout": 0.3}])
    with open_ledger(LEDGER, tmp_path) as ledger:
        answer(ledger, 2)
    assert "timed out" in maysend("deliver", cwd=tmp_path).stderr
    assert len(endpoint.posted) == 2


def test_path_and_query_of_a_webhook_are_told_nowhere(
    tmp_path: Path, maysend: Any, endpoint: receiving.Endpoint
) -> None:
    answers = iter([503, 0, 400])
    endpoint.answer = lambda _: next(answers, 204)
    write_project(tmp_path, [{"type": "webhook", "url": "${HOOK_URL}", "secret": SECRET, "timeout": 0.3}])
    env = {"HOOK_URL": f"{endpoint.url}/hush-hush?key=hush-hush"}
    with open_ledger(LEDGER, tmp_path) as ledger:
        answer(ledger, 2)
    done = [maysend("deliver", cwd=tmp_path, env=env), maysend("deliver", "--status", cwd=tmp_path, env=env)]
    told = "".join(run.stdout + run.stderr for run in done)
    receiver = endpoint.url.removesuffix("/hook")
    assert f"{receiver} answered 503" in told
    assert "timed out" in told
    assert f"{receiver} answered 400" in told
    assert "hush" not in told


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid", "http://[::1", "http://x:99999999"])
def test_path_and_query_of_a_webhook_that_cannot_be_reached_are_told_nowhere(url: str) -> None:
    settings = {"url": f"{url}/hush-hush?key=hush-hush", "secret": SECRET}
    with pytest.raises(DeliveryError) as told:
        plugins.load().sink_types["webhook"].open(settings).deliver([EVENT])
    assert "hush" not in str(told.value)


def test_a_webhook_that_sends_bad_headers_is_logged_without_its_path(
    endpoint: receiving.Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find_fault(_: object) -> None:
        raise urllib3.exceptions.HeaderParsingError([], "no header")

    monkeypatch.setattr("urllib3.connection.assert_header_parsing", find_fault)
    settings = {"url": f"{endpoint.url}/hush-hush", "secret": SECRET}
    plugins.load().sink_types["webhook"].open(settings).deliver([EVENT])
    assert len(endpoint.posted) == 1
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("postgres", "postgresql://ann:hush%zz@127.0.0.1:9/test"),
        ("postgres", "postgresql://ann@[::1/test?password=hush"),
        ("rabbitmq", "amqp://ann:hush/hush@127.0.0.1:9/"),
        ("redis", "redis://ann:hush/hush@127.0.0.1:9/0"),
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_its_password(name: str, url: str) -> None:
    with pytest.raises(DeliveryError, match="the URL cannot be read") as told:
        plugins.load().sink_types[name].open({"url": url})
    assert "hush" not in str(told.value)


def test_what_reaches_no_queue_is_delivered_once_there_is_one(tmp_path: Path, maysend: Any, maysend_json: Any) -> None:
    receiver = receiving.rabbitmq()
    pika: Any = import_module("pika")
    name = receiver.settings["routing_key"]
    with pika.BlockingConnection(pika.URLParameters(receiver.settings["url"])) as connection:
        channel = connection.channel()
        channel.exchange_declare(name)
        write_project(tmp_path, [{"type": "rabbitmq", "exchange": name, **receiver.settings}])
        with open_ledger(LEDGER, tmp_path) as ledger:
            recorded = answer(ledger, 20)
        told = maysend("deliver", cwd=tmp_path, code=1).stdout
        assert told == "rabbitmq: 0 delivered; 20 events reached no queue: NO_ROUTE\n"
        assert maysend_json("deliver", "--status", cwd=tmp_path)["sinks"][0]["lag"] == 20
        channel.queue_declare(name, durable=True)
        channel.queue_bind(name, name, name)
        assert maysend("deliver", cwd=tmp_path).stdout == "rabbitmq: 20 delivered\n"
        assert [event["id"] for event in receiver.events()] == [event.event_id for event in recorded]
        channel.exchange_delete(name)
    receiver.remove()


def test_jsonl_cuts_a_broken_line_off_and_sets_full_files_aside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    path.parent.mkdir()
    path.write_bytes(b'{"n": 0}\n{"n"')
    opened = plugins.load().sink_types["jsonl"].open({"path": str(path), "rotate_at": 25})
    for number in range(1, 6):
        body = json.dumps({"n": number}).encode()
        opened.deliver([CloudEvent(seq=number, id=str(number), key="k", data={}, body=body)])
    opened.close()
    files = [path.with_name("events.jsonl.1"), path]
    assert [[json.loads(line)["n"] for line in file.read_text().splitlines()] for file in files] == [
        [0, 1, 2],
        [3, 4, 5],
    ]


@pytest.mark.parametrize("name", ["events[1].jsonl", "e*.jsonl", "e?.jsonl"])
def test_jsonl_sets_a_file_aside_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    (tmp_path / "ev.jsonl.7").touch()
    opened = plugins.load().sink_types["jsonl"].open({"path": str(tmp_path / name), "rotate_at": 1})
    for _ in range(3):
        opened.deliver([EVENT])
    opened.close()
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert found == {"ev.jsonl.7": b"", **dict.fromkeys([name, f"{name}.1", f"{name}.2"], EVENT.body + b"\n")}


def test_a_client_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"redis": "redis", "nats": "nats", "rabbitmq": "pika", "kafka": "confluent_kafka", "postgres": "psycopg"}
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, module, None)
        open_it: Callable[[Any], Any] = plugins.load().sink_types[name].open
        with pytest.raises(DeliveryError, match=rf"run `pip install 'maysend\[{name}\]'`"):
            open_it({"url": "x://", "brokers": "x"})


@pytest.mark.parametrize(
    ("sinks", "message"),
    [
        ([{"type": "jsonl"}], 'project.yaml:4:9: "path" is missing in an item of "sinks"'),
        ([{"type": "jsonl", "path": "a", "paht": "b"}], 'project.yaml:4:40: unknown key "paht"'),
        ([{"type": "jsonl", "path": "a"}, {"type": "jsonl", "path": "b"}], 'another sink is named "jsonl"'),
        ([{"type": "webhok"}], 'unknown sink type "webhok"; did you mean "webhook"?'),
        ([{"type": "webhook", "url": "ftp://x", "secret": SECRET}], '"url" must be a web address such as'),
    ],
)
def test_a_mistake_in_a_sink_is_a_problem_with_its_place(
    sinks: list[dict[str, str]], message: str, tmp_path: Path, maysend: Any
) -> None:
    write_project(tmp_path, sinks)
    assert message in maysend("validate", "--offline", cwd=tmp_path, code=1).stdout


def test_the_command_line_says_what_is_wrong(tmp_path: Path, maysend: Any) -> None:
    write_project(tmp_path, [{"type": "jsonl", "path": "events.jsonl"}])
    assert (
        'no sink has the name "jsnol"; did you mean "jsonl"?'
        in maysend("deliver", "--sink", "jsnol", cwd=tmp_path, code=2).stderr
    )
    maysend("deliver", "--status", "--follow", cwd=tmp_path, code=2)
    write_project(tmp_path, [])
    assert "no sinks" in maysend("deliver", cwd=tmp_path).stderr
