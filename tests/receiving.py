"""Receivers of events to test sinks with: real servers on loopback, and an HTTP endpoint that does as it is told."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

URLS = {
    "redis": os.environ.get("MAYSEND_TEST_REDIS_URL", "redis://127.0.0.1:6379/0"),
    "nats": os.environ.get("MAYSEND_TEST_NATS_URL", "nats://127.0.0.1:4222"),
    "rabbitmq": os.environ.get("MAYSEND_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/%2F"),
    "postgres": os.environ.get("MAYSEND_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"),
}


@dataclass
class Receiver:
    """A server that a sink delivers to: the sink's settings, and a way to read what arrived, in order."""

    type: str
    settings: Mapping[str, Any]
    received: Callable[[], list[dict[str, Any]]]
    remove: Callable[[], None] = lambda: None

    def events(self) -> list[dict[str, Any]]:
        """The CloudEvents that arrived, oldest first."""
        return self.received()


def redis(url: str = URLS["redis"]) -> Receiver:
    client: Any = pytest.importorskip("redis", reason="redis is not installed (extra: redis)").Redis.from_url(url)
    _skip_unless(client.ping, "Redis", url)
    stream = f"maysend_{uuid4().hex}"

    def received() -> list[dict[str, Any]]:
        return [json.loads(entry[b"event"]) for _, entry in client.xrange(stream)]

    def remove() -> None:
        client.delete(stream)
        client.close()

    return Receiver("redis", {"url": url, "stream": stream}, received, remove)


def nats(url: str = URLS["nats"]) -> Receiver:
    module: Any = pytest.importorskip("nats", reason="nats-py is not installed (extra: nats)")
    name = f"maysend_{uuid4().hex}"

    async def connect() -> Any:
        return await module.connect(url, connect_timeout=3, allow_reconnect=False, error_cb=_ignore)

    async def read() -> list[bytes]:
        client = await connect()
        pulled = []
        info = await client.jetstream().stream_info(name)
        subscription = await client.jetstream().subscribe(f"{name}.events", stream=name, ordered_consumer=True)
        while len(pulled) < info.state.messages:
            pulled.append((await subscription.next_msg(timeout=60)).data)
        await client.close()
        return pulled

    async def delete() -> None:
        client = await connect()
        try:
            await client.jetstream().delete_stream(name)
        finally:
            await client.close()

    async def greet() -> None:
        await (await connect()).close()

    _skip_unless(lambda: asyncio.run(greet()), "NATS", url)
    settings = {"url": url, "stream": name, "subject": f"{name}.events"}
    return Receiver(
        "nats", settings, lambda: [json.loads(data) for data in asyncio.run(read())], lambda: asyncio.run(delete())
    )


async def _ignore(_: Exception) -> None:
    """What the client finds wrong, its calls raise as well."""


def rabbitmq(url: str = URLS["rabbitmq"]) -> Receiver:
    pika: Any = pytest.importorskip("pika", reason="pika is not installed (extra: rabbitmq)")
    queue = f"maysend_{uuid4().hex}"

    def connect() -> Any:
        return pika.BlockingConnection(pika.URLParameters(url))

    def received() -> list[dict[str, Any]]:
        connection = connect()
        channel, found = connection.channel(), []
        for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=3):
            if method is None:
                break
            found.append(json.loads(body))
        connection.close()
        return found

    def remove() -> None:
        connection = connect()
        connection.channel().queue_delete(queue)
        connection.close()

    _skip_unless(lambda: connect().close(), "RabbitMQ", url)
    return Receiver("rabbitmq", {"url": url, "routing_key": queue}, received, remove)


def postgres(url: str = URLS["postgres"]) -> Receiver:
    psycopg: Any = pytest.importorskip("psycopg", reason="psycopg is not installed (extra: postgres)")
    table = f"maysend_{uuid4().hex}"

    def execute(query: str) -> Any:
        with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else None

    _skip_unless(lambda: execute("SELECT 1"), "PostgreSQL", url)
    return Receiver(
        "postgres",
        {"url": url, "table": table},
        lambda: [event for (event,) in execute(f"SELECT event FROM {table} ORDER BY seq")],
        lambda: execute(f"DROP TABLE IF EXISTS {table}"),
    )


class MockBrokers:
    """The client library's own mock cluster (librdkafka's ``rdkafka_mock.h``): its brokers can fail, and come back.

    A broker forgets what is older than five megabytes a partition, so that whoever reads must read as it arrives.
    """

    _BROKERS, _PARTITIONS = 3, 12

    def __init__(self) -> None:
        module: Any = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed (extra: kafka)")
        self._library = library = ctypes.CDLL(module.cimpl.__file__)
        self.topic = f"maysend_{uuid4().hex}"
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(library, name).restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        told = ctypes.create_string_buffer(500)
        settings = ctypes.c_void_p(library.rd_kafka_conf_new())
        library.rd_kafka_conf_set(settings, b"log_level", b"0", told, 500)
        self._client = ctypes.c_void_p(library.rd_kafka_new(0, settings, told, 500))
        assert self._client, told.value
        self._cluster: ctypes.c_void_p | None = ctypes.c_void_p(
            library.rd_kafka_mock_cluster_new(self._client, self._BROKERS)
        )
        self.addresses = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        library.rd_kafka_mock_topic_create(self._cluster, self.topic.encode(), self._PARTITIONS, self._BROKERS)

    def start(self) -> None:
        """Let every broker listen."""
        self._each(self._library.rd_kafka_mock_broker_set_up)

    def kill(self) -> None:
        """Cut every broker's connections, and let none listen; what they had they keep. Nothing once it is closed."""
        self._each(self._library.rd_kafka_mock_broker_set_down)

    def partitions(self) -> range:
        return range(self._PARTITIONS)

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)
        self._cluster = None

    def _each(self, do: Any) -> None:
        brokers = range(1, self._BROKERS + 1) if self._cluster else ()
        assert not any(do(self._cluster, number) for number in brokers)


def kafka(brokers: MockBrokers | None = None) -> Receiver:
    """A topic of a mock cluster, read by a thread as it fills."""
    cluster = brokers or MockBrokers()
    confluent: Any = import_module("confluent_kafka")
    settings = {"bootstrap.servers": cluster.addresses, "group.id": cluster.topic, "log_level": 0}
    consumer = confluent.Consumer({**settings, "auto.offset.reset": "earliest"})
    consumer.assign([confluent.TopicPartition(cluster.topic, number, 0) for number in cluster.partitions()])
    arrived: SimpleQueue[bytes] = SimpleQueue()
    ending = threading.Event()

    def read() -> None:
        while not ending.is_set():
            for message in consumer.consume(500, 0.2):
                if not message.error():
                    arrived.put(message.value())

    reader = threading.Thread(target=read)
    reader.start()

    def received() -> list[dict[str, Any]]:
        found = []
        while True:
            try:
                found.append(json.loads(arrived.get(timeout=3)))
            except Empty:
                return found

    def remove() -> None:
        ending.set()
        reader.join()
        consumer.close()
        cluster.close()

    return Receiver("kafka", {"brokers": cluster.addresses, "topic": cluster.topic}, received, remove)


def jsonl(path: Path) -> Receiver:
    return Receiver(
        "jsonl", {"path": str(path)}, lambda: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    )


def _skip_unless(try_it: Callable[[], Any], name: str, url: str) -> None:
    try:
        try_it()
    except Exception as error:
        pytest.skip(f"no {name} server at {urlsplit(url).netloc.rpartition('@')[2]}: {error!r:.100}")


@dataclass
class Posted:
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """An HTTP server that keeps what is posted and answers as ``answer`` says: a status, or nothing for too long."""

    url: str
    answer: Callable[[Posted], int] = lambda _: 204
    posted: list[Posted] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posted = Posted({name.lower(): value for name, value in self.headers.items()}, body)
            status = told.answer(posted)
            if status == 0:
                told.hang.wait()
                return
            if 200 <= status < 300:
                told.posted.append(posted)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at what was posted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = Endpoint(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        told.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()


def listens(port: int) -> bool:
    """Whether something listens on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
