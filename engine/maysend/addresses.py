"""Addresses are always handled normalized: the steps a channel type declares, compiled to SQL and to Python.

The set of steps is closed, so that an audience and a page cannot disagree about what an address is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from .hookspecs import Lower, Matches, Prefix, Remove, Step, Strip

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_BLANKS = " \t\n\v\f\r\u00a0\u200b\ufeff"


def normalizer(steps: Sequence[Step]) -> Callable[[str], str | None]:
    """A function from an address as found to its normalized form, or None where it is invalid or empty."""
    compiled = [_python(step) for step in steps]

    def normalize(address: str) -> str | None:
        value: str | None = address
        for step in compiled:
            if value is None:
                return None
            value = step(value)
        return value or None

    return normalize


def normalized(steps: Sequence[Step], address: exp.Expr) -> exp.Expr:
    """The same as ``normalizer`` over a text column: NULL where the address is invalid, empty or missing."""
    value = address
    checks: list[exp.Expr] = []
    for step in steps:
        match step:
            case Strip():
                value = exp.Trim(this=value, expression=exp.Literal.string(_BLANKS))
            case Lower():
                value = _translate(value, _UPPER, _LOWER)
            case Remove(characters=characters):
                value = _translate(value, characters, "")
            case Prefix(old=old, new=new):
                rest = exp.Substring(this=value.copy(), start=exp.Literal.number(len(old) + 1))
                value = exp.Case(
                    ifs=[
                        exp.If(
                            this=_starts_with(value, old), true=exp.Concat(expressions=[exp.Literal.string(new), rest])
                        )
                    ],
                    default=value.copy(),
                )
            case Matches(pattern=pattern):
                whole = exp.Literal.string(f"^(?:{pattern})$")
                checks.append(exp.RegexpLike(this=value.copy(), expression=whole))
    valid = exp.and_(exp.NEQ(this=value.copy(), expression=exp.Literal.string("")), *checks)
    return exp.Case(ifs=[exp.If(this=valid, true=value.copy())])


def _starts_with(value: exp.Expr, start: str) -> exp.Expr:
    found = exp.Left(this=value.copy(), expression=exp.Literal.number(len(start)))
    return exp.EQ(this=found, expression=exp.Literal.string(start))


def _translate(value: exp.Expr, old: str, new: str) -> exp.Expr:
    return exp.func("TRANSLATE", value, exp.Literal.string(old), exp.Literal.string(new))


def _python(step: Step) -> Callable[[str], str | None]:
    match step:
        case Strip():
            return lambda value: value.strip(_BLANKS)
        case Lower():
            lower = str.maketrans(_UPPER, _LOWER)
            return lambda value: value.translate(lower)
        case Remove(characters=characters):
            removed = str.maketrans("", "", characters)
            return lambda value: value.translate(removed)
        case Prefix(old=old, new=new):
            return lambda value: new + value[len(old) :] if value.startswith(old) else value
        case Matches(pattern=pattern):
            whole = re.compile(f"(?:{pattern})")
            return lambda value: value if whole.fullmatch(value) else None
