"""One mistake of shape gives one message, at the right place, in words a person can act on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from maysend import ChannelType, documents
from maysend.columns import DECLARED
from maysend.conditions import WEEKDAYS
from maysend.declarations.shapes import Shapes
from maysend.operators import OPERATORS
from maysend.plugins import REGISTERED, Plugins
from maysend.schemas import KINDS, schema

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "declarations" / "shapes.yaml").read_text("utf-8"))


def loaded(*channel_types: ChannelType) -> Plugins:
    """Plugins that bring these channel types and nothing else."""
    registered: dict[str, dict[str, Any]] = {hook: {} for hook in REGISTERED}
    registered["register_channel_types"] = {type_.name: type_ for type_ in channel_types}
    return Plugins((), registered, {})


FAX = ChannelType(
    name="fax", title="Fax", address=(), settings={"speed": {"enum": [9600, 14400]}, "cover": {"type": "string"}}
)


@pytest.mark.parametrize(
    ("kind", "text", "messages"),
    [pytest.param(kind, text, messages, id=f"{kind}: {text}") for kind in CASES for text, messages in CASES[kind]],
)
def test_one_mistake_one_message(kind: str, text: str, messages: str | list[str]) -> None:
    document, problems = documents.parse(text, "f.yaml")
    assert document
    assert not problems
    found = sorted(Shapes(loaded(FAX)).problems(kind, document))
    expected = [messages] if isinstance(messages, str) else messages
    assert [f"{one.line}:{one.column}: {one.message}" for one in found] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"x": {"type": "telegram"}},
        {"x": {"pattern": "("}},
        {"x": {"$ref": "https://example.com/schema"}},
        {1: {}},
        {"x": {"$ref": "#/y"}},
    ],
)
def test_a_plugin_whose_settings_are_no_schema_is_named(settings: Mapping[Any, Any]) -> None:
    document, _ = documents.parse("type: fax\naddress: fax", "f.yaml")
    assert document
    (problem,) = Shapes(loaded(ChannelType("fax", "Fax", (), settings=settings))).problems("channel", document)
    assert str(problem).startswith('f.yaml:1:7: channel type "fax" has settings that are not a JSON Schema: ')


def test_settings_may_name_parts_of_their_own_schema() -> None:
    lists = {"type": ["array", "string"], "items": {"$ref": "#/properties/x"}, "propertyNames": {"maxLength": 1}}
    keys = {"type": "object", "propertyNames": {"maxLength": 2}, "additionalProperties": {"$ref": "#/properties/x"}}
    document, _ = documents.parse("type: fax\naddress: fax\nx: [a, [b, [3]]]\ny: {abc: [d]}", "f.yaml")
    assert document
    found = Shapes(loaded(ChannelType("fax", "Fax", (), settings={"x": lists, "y": keys}))).problems(
        "channel", document
    )
    assert sorted(str(problem) for problem in found) == [
        'f.yaml:3:13: an item of "x" must be a list or text, not 3',
        "f.yaml:4:5: \"abc\" does not fit: 'abc' is too long",
    ]


@pytest.mark.parametrize("level", ["{{not: {}}}", "{{all: [{}]}}", "{{did: a, where: {}}}"])
def test_a_condition_as_deep_as_a_file_may_be_is_compared_to_its_end(level: str) -> None:
    text = "{reachable: 3}"
    for _ in range(98 // (2 if "[" in level else 1)):
        text = level.format(text)
    document, problems = documents.parse(f"where: {text}", "f.yaml")
    assert document, problems
    (problem,) = Shapes(loaded()).problems("segment", document)
    assert problem.message == '"reachable" must be text, not 3; put it in quotes'


def test_what_came_from_the_environment_is_never_shown() -> None:
    document, _ = documents.parse("profiles: {source: p.csv, key: id}\nledger: mysql://root:secret@db/x", "f.yaml")
    assert document
    (problem,) = Shapes(loaded()).problems("project", document, {("ledger",): '"${LEDGER}"'})
    assert problem.message.endswith('not "${LEDGER}"')
    assert Shapes(loaded()).problems("project", document, {("ledger",): None}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_schema_is_valid_and_says_what_each_property_means(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    for path, part in _parts(schema(kind), ()):
        assert "anyOf" not in part, path
        assert "oneOf" not in part, path
        for name, described in part.get("properties", {}).items():
            if path[-1:] != ("if",):
                assert described.get("description", "").endswith("."), (*path, name)


def test_the_schemas_and_the_engine_know_the_same_words() -> None:
    condition = schema("segment")["$defs"]
    assert set(condition["property"]["properties"]) - {"property"} == set(OPERATORS)
    assert set(condition["condition"]["dependentSchemas"]) == set(
        condition["condition"]["not"]["propertyNames"]["not"]["enum"]
    )
    assert condition["day_of_week"]["items"]["enum"] == list(WEEKDAYS)
    assert schema("project")["$defs"]["columns"]["additionalProperties"]["enum"] == list(DECLARED)


def test_schemas_are_files_of_the_package_for_editors_to_use() -> None:
    assert json.loads(files("maysend").joinpath("schemas", "segment.json").read_text("utf-8")) == schema("segment")


def _parts(part: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    if isinstance(part, dict):
        yield path, part
        for name, inner in part.items():
            yield from _parts(inner, (*path, name))
