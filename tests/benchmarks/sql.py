"""A drawn campaign as the SQL that somebody would write by hand; nothing here is maysend's.

``people`` is the table of profiles with their statuses folded; ``purchases`` and ``sends`` are what they did and got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from math import ceil

from .generate import AS_OF
from .projects import CAP_AT_MOST, CAP_DAYS, SYSTEM_PERCENT, SYSTEM_SALT, Campaign, Condition

PRIME = 2**31 - 1
CHECK = f"id * 2654435761 % {PRIME}"
"""A number per profile whose sum over an audience hardly agrees by chance with that of another."""

_ARRAYS: dict[str, Callable[[str, str], str]] = {
    "duckdb": lambda column, values: f"list_has_any({column}, [{values}])",
    "clickhouse": lambda column, values: f"hasAny({column}, [{values}])",
    "postgresql": lambda column, values: f"{column} && ARRAY[{values}]",
    "spark": lambda column, values: f"arrays_overlap({column}, array({values}))",
}
_LISTS = {
    "duckdb": "list(id)",
    "clickhouse": "groupArray(id)",
    "postgresql": "array_agg(id)",
    "spark": "collect_list(id)",
}
_COUNTS = {
    "duckdb": "countif({})",
    "clickhouse": "countIf({})",
    "postgresql": "count(*) FILTER (WHERE {})",
    "spark": "count_if({})",
}
"""The fastest form of a conditional count where there are many: ``FILTER`` is ten times slower in DuckDB."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """``duckdb``, ``clickhouse``, ``postgresql`` or ``spark``."""

    name: str

    def audience(self, campaign: Campaign) -> str:
        return " AND ".join(self.condition(condition) for condition in campaign.conditions)

    def condition(self, condition: Condition) -> str:
        match condition:
            case {"any": parts}:
                return f"({' OR '.join(self.condition(part) for part in parts)})"
            case {"did": _} | {"did_not": _}:
                return _did(condition)
            case {"property": name, **rest}:
                ((operator, operand),) = rest.items()
                return self._property(name, operator, operand)
        raise AssertionError(condition)

    def _property(self, name: str, operator: str, operand: object) -> str:
        match operator, operand:
            case "in", list():
                return f"{name} IN ({_literals(operand)})"
            case "not_in", list():
                return f"{name} IS NOT NULL AND {name} NOT IN ({_literals(operand)})"
            case "between", [low, high]:
                return f"{name} BETWEEN {low} AND {high}"
            case "starts_with", str():
                return f"{name} LIKE '{operand}%'"
            case "has_any", list():
                return _ARRAYS[self.name](name, _literals(operand))
            case "after" | "before", _:
                return f"{name} {'>' if operator == 'after' else '<'} DATE '{operand}'"
        sign = {"at_least": ">=", "at_most": "<=", "greater_than": ">", "less_than": "<"}[operator]
        return f"{name} {sign} {operand}"

    def waterfall(self, campaign: Campaign, people: str, what: str) -> str:
        """One row: how many are in the audience, and how many are left after each stage until the groups'.

        ``what`` says how to tell those left at the end from others: ``counts`` not at all, ``checks`` by the sum of
        their ``CHECK``, ``ids`` by their keys.
        """
        left = stages(clause(campaign))
        columns = [*map(self._count, left), *self._who(left[-1], what)]
        return f"SELECT count(*), {', '.join(columns)} FROM {people} WHERE {self.audience(campaign)}"

    def at_once(self, campaigns: Sequence[Campaign], people: str, what: str) -> str:
        """One row with all that of all campaigns: each condition is worked out once, then a conditional count a stage."""
        inner, outer = [], []
        for number, campaign in enumerate(campaigns):
            inner += [f"coalesce({self.audience(campaign)}, false) AS a{number}", f"{clause(campaign)} AS g{number}"]
            left = [f"a{number}", *(f"a{number} AND {stage}" for stage in stages(f"g{number}"))]
            outer += [*map(self._count, left), *self._who(left[-1], what)]
        chosen = f"SELECT id, reachable, suppressed, channel, {', '.join(inner)} FROM {people}"
        return f"SELECT {', '.join(outer)} FROM ({chosen}) AS asked"

    def _count(self, test: str) -> str:
        return _COUNTS[self.name].format(test)

    def _who(self, test: str, what: str) -> list[str]:
        told = {"checks": f"sum({CHECK})", "ids": _LISTS[self.name]}.get(what)
        return [f"{told} FILTER (WHERE {test})"] if told else []


def clause(campaign: Campaign) -> str:
    """Whether enough of the campaign's groups are subscribed."""
    if campaign.clause == "all":
        return f"({' AND '.join(campaign.groups)})"
    if campaign.clause == "any":
        return f"({' OR '.join(campaign.groups)})"
    ones = (f"CASE WHEN {group} THEN 1 ELSE 0 END" for group in campaign.groups)
    return f"({' + '.join(ones)} >= {campaign.at_least})"


def stages(groups: str) -> list[str]:
    """Whoever is left after the address, the suppressed, the channel and the groups, of those in the audience."""
    reached = "reachable AND NOT suppressed"
    return ["reachable", reached, f"{reached} AND (channel OR {groups})", f"{reached} AND {groups}"]


def audience_file(campaign: Campaign) -> str:
    """The query (DuckDB) of a campaign's audience, in the order of keys."""
    left = f"{Dialect('duckdb').audience(campaign)} AND {stages(clause(campaign))[-1]}"
    return f"SELECT id, address FROM people WHERE {left} ORDER BY id"


def policies(campaign: Campaign, what: str) -> str:
    """One row (DuckDB) with all stages: those of ``waterfall``, then duplicates, cap, control groups and target cap."""
    reached = stages(clause(campaign))
    lost = " ".join(f"WHEN NOT ({stage}) THEN {number}" for number, stage in enumerate(reached))
    since = AS_OF - timedelta(days=CAP_DAYS)
    system, own = (
        f"{draw(salt)} >= {threshold(percent)}"
        for salt, percent in ((SYSTEM_SALT, SYSTEM_PERCENT), (campaign.name, campaign.control))
    )
    everybody = "count(*) FILTER (WHERE included)"
    most = f"least({everybody}, {campaign.target_cap})" if campaign.target_cap else everybody
    counts = [f"count(*) FILTER (WHERE lost IS NULL OR lost > {number})" for number in range(len(reached))]
    counts += [f"count(*) FILTER (WHERE {test})" for test in ("first", "first AND below_cap", "included")]
    chosen = "included"
    if campaign.target_cap and what != "counts":
        order = f"ORDER BY {draw(campaign.name)}, id"
        chosen = f"included AND id IN (SELECT id FROM drawn WHERE included {order} LIMIT {campaign.target_cap})"
    last = {"checks": [f"sum({CHECK}) FILTER (WHERE {chosen})"], "ids": [f"list(id) FILTER (WHERE {chosen})"]}
    return f"""
        WITH checked AS (
            SELECT id, address, CASE {lost} END AS lost FROM people WHERE {Dialect("duckdb").audience(campaign)}
        ), firsts AS (
            SELECT min(id) AS id FROM checked WHERE lost IS NULL GROUP BY address
        ), sent AS (
            SELECT id, count(*) AS messages FROM sends
            WHERE channel = 'email' AND "at" BETWEEN {_timestamp(since)} AND {_timestamp(AS_OF)} GROUP BY id
        ), hashed AS (
            SELECT id, lost, firsts.id IS NOT NULL AS first, coalesce(messages, 0) < {CAP_AT_MOST} AS below_cap,
                CASE WHEN first AND below_cap THEN ('0x' || left(md5(id::VARCHAR), 8))::BIGINT % {PRIME} END AS h
            FROM checked LEFT JOIN firsts USING (id) LEFT JOIN sent USING (id)
        ), drawn AS (
            SELECT *, coalesce({system} AND {own}, false) AS included FROM hashed
        )
        SELECT count(*), {", ".join([*counts, most, *last.get(what, [])])} FROM drawn
    """


def draw(salt: str) -> str:
    """The draw of a salt from ``h``."""
    digest = sha256(salt.encode()).digest()
    a, b = int.from_bytes(digest[:8], "big") % (PRIME - 1) + 1, int.from_bytes(digest[8:16], "big") % PRIME
    return f"(h * {a} + {b}) % {PRIME}"


def threshold(percent: int) -> int:
    """Whoever's draw is below is among the first so many percent."""
    return ceil(Fraction(percent * PRIME, 100))


def _did(condition: Condition) -> str:
    """Purchases of the profile in the last so many days."""
    days = int(condition["within"]["last"].removesuffix(" days"))
    bought = f'SELECT id FROM purchases WHERE "at" BETWEEN {_timestamp(AS_OF - timedelta(days=days))} AND {_timestamp(AS_OF)}'
    match condition:
        case {"did_not": _}:
            return f"NOT EXISTS (FROM ({bought}) AS bought WHERE bought.id = people.id)"
        case {"where": where}:
            return f"id IN ({bought} AND genre IN ({_literals(where['in'])}))"
        case {"sum": total}:
            return f"id IN ({bought} GROUP BY id HAVING sum(amount) >= {total['at_least']})"
    least = condition["count"]["at_least"]
    return f"id IN ({bought})" if least == 1 else f"id IN ({bought} GROUP BY id HAVING count(*) >= {least})"


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'"


def _literals(values: Iterable[object]) -> str:
    return ", ".join(f"'{value}'" for value in values)
