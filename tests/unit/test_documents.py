"""YAML as people write it: what is read as what, and every way in which it cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maysend import documents


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("22:00", "22:00"),
        ("012", "012"),
        ("01234", "01234"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        (".5", ".5"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("+491701234567890", 491701234567890),
        ("tRue", "tRue"),
        ('"3"', "3"),
        ("'true'", "true"),
        ("Q&A *x* !b", "Q&A *x* !b"),
        ("3", 3),
        ("-0", 0),
        ("+5", 5),
        ("1.5", 1.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("|\n  3\n", "3\n"),
        ("é\u00a0ß", "é\u00a0ß"),
    ],
)
def test_scalars_that_look_like_text_stay_text(written: str, read: Any) -> None:
    document, problems = documents.parse(f"key: {written}", "f.yaml")
    assert not problems
    assert document
    assert document.data == {"key": read}
    assert type(document.data["key"]) is type(read)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: is empty; a declaration needs at least one key"),
        ("# only a comment\n", "1:1: is empty; a declaration needs at least one key"),
        ("---\n", "1:1: is empty; a declaration needs at least one key"),
        ("a:\n\tb: 1\n", "2:1: a tab cannot indent YAML; use spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "3:1: a tab cannot indent YAML; use spaces"),
        ("\ta: 1\n", "1:1: a tab cannot indent YAML; use spaces"),
        ("a: b\0c\n", "1:5: control character 0x00 cannot stand in YAML; take it out"),
        ("é: b\nä: \x07\n", "2:4: control character 0x07 cannot stand in YAML; take it out"),
        ("a: 1\n---\nb: 2\n", '2:1: holds more than one document; remove the "---" and what follows it'),
        ("a: 1\nb: 2\na: 3\n", '3:1: key "a" is repeated; it stands in line 1 already'),
        ("a:\n  b: 1\n  b: 1\n", '3:3: key "b" is repeated; it stands in line 2 already'),
        ("a: &x 1\nb: *x\n", "1:4: anchor &x is not allowed; write the value out"),
        ("a: [*x]\n", "1:5: alias *x is not allowed; write the value out"),
        ("a: !!str 3\n", "1:4: tag !!str is not allowed; take it out"),
        ("a: !python/object:os.system x\n", "1:4: tag !python/object:os.system is not allowed; take it out"),
        ("a: ! loud\n", "1:4: tag ! is not allowed; take it out"),
        ("&x a: 1\n", "1:1: anchor &x is not allowed; write the value out"),
        ("? [a, {b: *x}]\n: c\n", "1:11: alias *x is not allowed; write the value out"),
        ("a: 1\na: {b: &x 1}\n", "2:8: anchor &x is not allowed; write the value out"),
        ("a:\n  <<: {b: 1}\n", "2:3: merge keys are not allowed; write the values out"),
        ("? [a, b]\n: c\n", "1:3: a key must be text"),
        ("a: [1, 2\n", "2:1: did not find expected ',' or ']'"),
        ("a: b: c\n", "1:5: mapping values are not allowed in this context"),
        ("a: 1e999\n", "1:4: 1e999 is too large a number"),
        (f"a: {'9' * 5000}", "1:4: a number cannot have more than 40 characters; put it in quotes if it is text"),
        ("a: " + "[" * 200 + "]" * 200, "1:103: is nested deeper than 100 levels"),
        ("a: " + "{a: " * 200 + "1" + "}" * 200, "1:400: is nested deeper than 100 levels"),
        ("\n".join(" " * level + "a:" for level in range(200)), "101:101: is nested deeper than 100 levels"),
        ("a: " + "[" * 200_000, "1:103: is nested deeper than 100 levels"),
        ("- " * 200_000 + "x", "1:201: is nested deeper than 100 levels"),
    ],
)
def test_what_cannot_be_read_is_one_problem_with_its_place(text: str, problem: str) -> None:
    _, problems = documents.parse(text, "f.yaml")
    assert [str(found) for found in problems] == [f"f.yaml:{problem}"]


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    document, problems = documents.parse("\n".join(lines), "f.yaml")
    assert document is None
    assert [str(problem) for problem in problems] == ["f.yaml:1:5: anchor &a0 is not allowed; write the value out"]


def test_problems_point_at_values_at_keys_and_at_the_nearest_parent_that_is_there() -> None:
    document, _ = documents.parse("title: x\nwhere:\n  all:\n    - {segment: a}\n    - property: b\n", "f.yaml")
    assert document
    places = {
        (("where", "all", 1, "property"), False): (5, 17),
        (("where", "all", 1, "property"), True): (5, 7),
        (("where", "all", 0), False): (4, 7),
        (("where", "all", 0, "missing"), True): (4, 7),
        (("where", "all", 7, "missing"), False): (4, 5),
        ((), False): (1, 1),
    }
    for (path, key), place in places.items():
        problem = document.problem(path, "message", key=key)
        assert (problem.line, problem.column) == place, path
    assert document.line(("where", "all", 1)) == 5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "0:0: is not UTF-8 text (byte 0); save it as UTF-8"),
        ("title: café".encode("latin-1"), "0:0: is not UTF-8 text (byte 10); save it as UTF-8"),
        ("title: x".encode("utf-16"), "0:0: is not UTF-8 text (byte 0); save it as UTF-8"),
    ],
)
def test_bytes_that_are_not_utf8_are_one_problem(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    document, problems = documents.read(tmp_path / "f.yaml", "f.yaml")
    assert document is None
    assert [str(found) for found in problems] == [f"f.yaml:{problem}"]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbftitle: x\r\nb: 2\r\n")
    document, problems = documents.read(tmp_path / "f.yaml", "f.yaml")
    assert not problems
    assert document
    assert document.data == {"title": "x", "b": 2}


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    _, problems = documents.read(tmp_path / "f.yaml", "f.yaml")
    assert [str(problem) for problem in problems] == ["f.yaml:0:0: cannot be read: No such file or directory"]
