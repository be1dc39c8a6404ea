"""The consent rule: every case of tests/cases/status in plain Python, through the ledger, and on its masks alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from maysend.ledger import AnswerRow, Ledger, open_ledger
from maysend.status import CHANNEL, Standing, both_levels, covered, subscribed
from status_cases import StatusCase, status_cases

CASES = status_cases()
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_in_python(case: StatusCase) -> None:
    """Facts heard and applied by standings alone."""
    standings: defaultdict[tuple[str, str, str | None], Standing] = defaultdict(Standing)
    recorded = []
    for fact in case.facts:
        assert fact.occurred_at
        named = [("address", fact.address, fact.type), ("profile", fact.profile, None)]
        told = (fact.group or CHANNEL, fact.subscribed, int(fact.occurred_at.timestamp() * 1_000_000))
        heard = [(standings[fact.channel, level, who], kind) for level, who, kind in named if who]
        recorded.append(any(standing.hears(*told, kind, source=fact.source) for standing, kind in heard))
        for standing, kind in heard if recorded[-1] else []:
            standing.apply(*told, kind, source=fact.source)
    assert tuple(recorded) == case.recorded
    for profile, address in case.profiles.items():
        shown: dict[str, object] = {}
        for channel in case.channels:
            by_address = standings[channel, "address", address] if address else Standing()
            shown |= case.shown(channel, by_address, standings[channel, "profile", profile])
            if by_address.suppressed:
                shown["suppressed"] = [channel]
        assert shown == case.expected[profile], profile


@each_case
@pytest.mark.parametrize("at_once", [True, False], ids=["one append", "an append each"])
def test_in_the_ledger(case: StatusCase, at_once: bool, ledger_url: str, tmp_path: Path) -> None:
    """Facts appended, standings read back, and the masks that an audience sees."""
    with open_ledger(ledger_url, tmp_path, create=True) as ledger:
        events = ledger.append(case.facts) if at_once else [ledger.append([fact])[0] for fact in case.facts]
        assert tuple(event is not None for event in events) == case.recorded
        for profile, address in case.profiles.items():
            expected = dict(case.expected[profile])
            suppressed = expected.pop("suppressed", [])
            for channel in case.channels:
                standings = ledger.standing(channel, address=address, profile=profile)
                shown = case.shown(channel, *standings)
                assert shown.items() <= expected.items(), (profile, channel)
                assert standings[0].suppressed == (channel in suppressed)
                assert _by_masks(ledger, case, channel, address, profile) == (shown, channel in suppressed)


def _by_masks(
    ledger: Ledger, case: StatusCase, channel: str, address: str | None, profile: str
) -> tuple[dict[str, str], bool]:
    """The same from ``answers()``: the way of an audience."""
    defaults = case.defaults(channel)
    bits = {name: 1 << place for place, name in enumerate(defaults)}
    subjects = [_rows(ledger, channel, "address", address), _rows(ledger, channel, "profile", profile)]
    levels = []
    for rows in subjects:
        yes = sum(bits[row.group] for row in rows if row.answer > 0)
        no = sum(bits[row.group] for row in rows if row.answer < 0)
        levels.append(covered(yes, no, ~0 if no & bits[CHANNEL] else 0))
    mask = subscribed(*both_levels(*levels), sum(bits[name] for name, default in defaults.items() if default))
    shown = {name or channel: "subscribed" if mask & bit else "unsubscribed" for name, bit in bits.items()}
    return shown, any(row.suppressed for row in subjects[0])


def _rows(ledger: Ledger, channel: str, level: str, subject: str | None) -> list[AnswerRow]:
    return [row for row in ledger.answers() if (row.channel, row.level, row.subject) == (channel, level, subject)]
