"""Charts as SVG that stands in a page: colours are the page's own (CSS variables), text says what is shown.

Vega-Lite, drawn by vl-convert without a browser and without a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.util import find_spec
from typing import Any

from ..errors import MaysendError
from ..targeting.reads import INCLUDED
from ..targeting.stages import REASONS

Spec = dict[str, Any]

HEAT = 7
"""The shades of the heat map; ``--heat-0`` to ``--heat-6`` in the page's style, and ``--on-heat-…`` for text."""

_WIDTH = 170
_MOST_LABELLED = 16
_CHARACTER = 7.2
_BOTTOM: Spec = {"labelAngle": 0, "labelOverlap": True, "labelSeparation": 8, "labelPadding": 9}
_BARE = re.compile(r' (?:role|aria-[a-z]+|xmlns:xlink|class|version|pointer-events)="[^"]*"')
_CONFIG: Spec = {
    "aria": False,
    "background": None,
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 260,
    },
    "text": {"color": "currentColor", "fontSize": 12},
    "view": {"stroke": None},
    "padding": {"left": 2, "right": 28, "top": 5, "bottom": 5},
}


def check_extra() -> None:
    """Raises MaysendError where what draws the charts is not installed."""
    if not (find_spec("vl_convert") and find_spec("jinja2")):
        raise MaysendError("the report's charts need: pip install 'maysend[report]'")


def draw(spec: Spec, name: str, title: str, description: str) -> str:
    """A chart as an ``svg`` element with a title and a description; ``name`` makes their ids its own."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg({"config": _CONFIG, **spec})
    start, rest = _BARE.sub("", svg).split(">", 1)
    said = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return f'{start} role="img" aria-labelledby="{name}-title {name}-desc">{said}{rest}'


def words(reason: str) -> str:
    return reason.replace("_", " ")


def waterfall(counts: Mapping[str, int], population: int) -> Spec:
    """A bar for each check: from those who were left to those who passed it; the last bar is the audience."""
    rows: list[Spec] = []
    left = population
    for reason in REASONS:
        lost = counts[reason]
        rows.append({"check": words(reason), "from": left - lost, "to": left, "kind": "lost", "people": f"−{lost:,}"})
        left -= lost
    rows = [row for row in rows if row["from"] != row["to"]]
    rows.append({"check": INCLUDED, "from": 0, "to": left, "kind": INCLUDED, "people": f"{left:,}"})
    room = max(population, 1)
    position = {"type": "quantitative", "axis": None, "scale": {"domain": [0, room]}}
    return {
        "width": _WIDTH,
        "height": {"step": 22},
        "data": {"values": rows},
        "encoding": {"y": _ordinal("check", (row["check"] for row in rows)), "x": {"field": "from", **position}},
        "layer": [
            {
                "mark": {"type": "bar", "height": 14},
                "encoding": {"x2": {"field": "to"}, "color": _colours("kind", ("lost", INCLUDED), ("no", "yes"))},
            },
            {
                "mark": {"type": "text", "align": "left"},
                "encoding": {"x": {"value": _WIDTH + 8}, "text": {"field": "people"}},
            },
        ],
    }


def bars(counts: Mapping[str, int], colour: str = "no") -> Spec:
    """A bar for each name, with its number behind it."""
    rows = [{"name": name, "count": count, "shown": f"{count:,}"} for name, count in counts.items()]
    scale = {"domain": [0, max([*counts.values(), 1])]}
    return {
        "width": _WIDTH,
        "height": {"step": 22},
        "data": {"values": rows},
        "encoding": {"y": _ordinal("name", counts)},
        "layer": [
            {
                "mark": {"type": "bar", "height": 14, "color": f"var(--{colour})"},
                "encoding": {"x": {"field": "count", "type": "quantitative", "axis": None, "scale": scale}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 4},
                "encoding": {
                    "x": {"field": "count", "type": "quantitative", "axis": None, "scale": scale},
                    "text": {"field": "shown"},
                },
            },
        ],
    }


def heat_map(names: Sequence[str], overlap: Sequence[Sequence[int]]) -> Spec:
    """How much of each row's audience every column's campaign includes, in shades; with few campaigns, in percent."""
    rows = []
    for row, name in enumerate(names):
        for at, other in enumerate(names):
            share = overlap[row][at] / overlap[row][row] if overlap[row][row] else 0
            shade = min(int(share * HEAT), HEAT - 1)
            rows.append({"row": name, "column": other, "shade": shade, "shown": f"{share:.0%}"})
    labelled = len(names) <= _MOST_LABELLED
    cell = {"step": 42 if labelled else 14}
    shades = {"domain": list(range(HEAT)), "range": [f"var(--heat-{shade})" for shade in range(HEAT)]}
    on_shades = {"domain": list(range(HEAT)), "range": [f"var(--on-heat-{shade})" for shade in range(HEAT)]}
    column = _ordinal("column", names, orient="top", labelAngle=-90)
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "stroke": "var(--card)"},
            "encoding": {"color": {"field": "shade", "type": "ordinal", "scale": shades, "legend": None}},
        }
    ]
    if labelled:
        text = {"field": "shade", "type": "ordinal", "scale": on_shades, "legend": None}
        layers.append({"mark": "text", "encoding": {"text": {"field": "shown"}, "color": text}})
    return {
        "width": cell,
        "height": {"step": 30 if labelled else 14},
        "data": {"values": rows},
        "encoding": {"x": column, "y": _ordinal("row", names)},
        "layer": layers,
        "resolve": {"scale": {"color": "independent"}},
    }


def columns(values: Mapping[str, int], title: str) -> Spec:
    """A column for each name along the bottom, in order."""
    rows = [{"name": name, "count": count} for name, count in values.items()]
    wide = max(_WIDTH + 110, min(24 * len(rows), 640))
    return {
        "width": wide,
        "height": 180,
        "data": {"values": rows},
        "mark": {"type": "bar", "color": "var(--yes)"},
        "encoding": {
            "x": _ordinal("name", title=title, **_BOTTOM),
            "y": {"field": "count", "type": "quantitative", "title": None, "axis": {"tickCount": 4, "format": ",d"}},
        },
    }


def yes_and_no(periods: Sequence[str], yes: Sequence[int], no: Sequence[int]) -> Spec:
    """Columns up for yes and down for no, period by period."""
    rows = [{"period": p, "count": n, "answer": "yes"} for p, n in zip(periods, yes, strict=True)]
    rows += [{"period": p, "count": -n, "answer": "no"} for p, n in zip(periods, no, strict=True)]
    most = max([*yes, *no, 1])
    axis = {"tickCount": 4, "format": ",d", "labelExpr": "format(abs(datum.value), ',d')"}
    count = {"field": "count", "type": "quantitative", "title": None, "axis": axis, "scale": {"domain": [-most, most]}}
    return {
        "width": _WIDTH + 110,
        "height": 120,
        "data": {"values": rows},
        "mark": "bar",
        "encoding": {
            "x": {**_ordinal("period", **_BOTTOM), "scale": {"paddingInner": 0.15}},
            "y": {**count, "stack": None},
            "color": _colours("answer", ("yes", "no"), ("yes", "no")),
        },
    }


def _ordinal(field: str, names: Iterable[str] = (), **axis: Any) -> Spec:
    """Names in the order in which they come, with room for the longest in a font that is wider than the one here."""
    room = _CHARACTER * max(map(len, names), default=0)
    shown = {"title": None, "ticks": False, "domain": False, "labelPadding": 5, "minExtent": room, **axis}
    return {"field": field, "type": "ordinal", "sort": None, "axis": shown}


def _colours(field: str, values: Sequence[str], variables: Sequence[str]) -> Spec:
    scale = {"domain": list(values), "range": [f"var(--{name})" for name in variables]}
    return {"field": field, "type": "nominal", "scale": scale, "legend": None}
