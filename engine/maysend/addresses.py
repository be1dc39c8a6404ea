"""Addresses are always handled normalized: the steps a channel type declares, compiled to SQL and to Python.

The set of steps is closed, so that an audience and a page cannot disagree about what an address is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from .events import LONGEST_SUBJECT
from .hookspecs import Lower, Matches, Prefix, Remove, Step, Strip
from .trees import named

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_BLANKS = " \t\n\v\f\r\u00a0\u200b\ufeff"


def normalizer(steps: Sequence[Step]) -> Callable[[str], str | None]:
    """A function from an address as found to its normalized form, or None where it is invalid, empty, or longer than
    the ledger records: nobody is sent what they could not leave."""
    compiled = [_python(step) for step in steps]

    def normalize(address: str) -> str | None:
        value: str | None = address
        for step in compiled:
            if value is None:
                return None
            value = step(value)
        return value if value and len(value) <= LONGEST_SUBJECT else None

    return normalize


def normalized(source: exp.Table | exp.Subquery, wanted: Mapping[str, tuple[exp.Expr, Sequence[Step]]]) -> exp.Select:
    """A table with further columns: each name's text normalized by its steps, NULL where it is missing or invalid.

    A step's value is a column of the query around the one before, so that no step is worked out twice.
    """
    alias = source.alias_or_name
    layers = max((len(steps) for _, steps in wanted.values()), default=0)
    columns = [_named(text, f"{name} 0") for name, (text, _) in wanted.items()]
    query = exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True)), *columns).from_(source)
    for layer in range(layers):
        columns = []
        for name, (_, steps) in wanted.items():
            value = exp.column(f"{name} {layer}", quoted=True)
            columns.append(_named(_sql(steps[layer], value) if layer < len(steps) else value, f"{name} {layer + 1}"))
        query = exp.select(exp.Star(), *columns).from_(query.subquery(f"layer {layer}", copy=False))
    last = [exp.column(f"{name} {layers}", quoted=True) for name in wanted]
    final = [_named(_of_fit_length(value), name) for value, name in zip(last, wanted, strict=True)]
    return exp.select(exp.Star(), *final).from_(query.subquery(alias, copy=False))


def _of_fit_length(value: exp.Expr) -> exp.Expr:
    low, high = exp.Literal.number(1), exp.Literal.number(LONGEST_SUBJECT)
    fits = exp.Between(this=exp.Length(this=value.copy()), low=low, high=high)
    return exp.Case(ifs=[exp.If(this=fits, true=value)])


def _named(value: exp.Expr, name: str) -> exp.Expr:
    return named(value, name)


def _sql(step: Step, value: exp.Expr) -> exp.Expr:
    """One step. The general functions are slow, so a value they would leave as it is never meets them."""
    match step:
        case Strip():
            last = exp.Right(this=value.copy(), expression=exp.Literal.number(1))
            blank = exp.or_(*(exp.LT(this=end, expression=exp.Literal.string("!")) for end in (value.copy(), last)))
            stripped = exp.Trim(this=value.copy(), expression=exp.Literal.string(_BLANKS))
            return _where(exp.or_(blank, exp.not_(_is_ascii(value))), stripped, value)
        case Lower():
            return _where(_is_ascii(value), exp.Lower(this=value.copy()), _translate(value, _UPPER, _LOWER))
        case Remove(characters=characters):
            return _translate(value, characters, "")
        case Prefix(old=old, new=new):
            rest = exp.Substring(this=value.copy(), start=exp.Literal.number(len(old) + 1))
            starts = exp.StartsWith(this=value.copy(), expression=exp.Literal.string(old))
            return _where(starts, exp.Concat(expressions=[exp.Literal.string(new), rest]), value)
        case Matches(pattern=pattern):
            whole = exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(f"^(?:{pattern})$"))
            return exp.Case(ifs=[exp.If(this=whole, true=value.copy())])


def _where(test: exp.Expr, then: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=otherwise.copy())


def _is_ascii(value: exp.Expr) -> exp.Expr:
    eight = exp.Mul(this=exp.Literal.number(8), expression=exp.Length(this=value.copy()))
    return exp.EQ(this=exp.BitLength(this=value.copy()), expression=eight)


def _translate(value: exp.Expr, old: str, new: str) -> exp.Expr:
    return exp.func("TRANSLATE", value.copy(), exp.Literal.string(old), exp.Literal.string(new))


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
