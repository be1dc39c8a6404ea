"""A run done again from its manifest: the consent of then, and whether every byte agrees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import OutputError
from .evaluation import Evaluation, Format


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a manifest says of its run; ``seq`` is the ledger's newest event then, ``campaigns`` are by name.

    ``inputs`` are the digests of what it read, by source and file; empty in a manifest from before they were kept.
    """

    file: Path
    as_of: datetime
    seq: int
    revision: str
    campaigns: Mapping[str, Mapping[str, Any]]
    inputs: Mapping[str, Mapping[str, str]]

    @property
    def sizes_before(self) -> dict[str, int]:
        """What guards compared each audience with."""
        return {name: one["before"] for name, one in self.campaigns.items() if "before" in one}

    @property
    def format(self) -> Format:
        """The format of its audiences."""
        written = [str(campaign["file"]) for campaign in self.campaigns.values() if "file" in campaign]
        return "csv" if written and written[0].endswith(".csv") else "parquet"


def read(manifest: Path) -> Recorded:
    """Read a manifest that ``evaluate --out`` wrote.

    Raises OutputError where it is none.
    """
    try:
        data = json.loads(manifest.read_text(encoding="utf-8"))
        campaigns = {campaign["name"]: campaign for campaign in data["campaigns"]}
        as_of = datetime.fromisoformat(data["as_of"])
        inputs = _by_file(data.get("inputs", ()))
        return Recorded(manifest, as_of, int(data["ledger"]["seq"]), str(data["revision"]), campaigns, inputs)
    except OSError as error:
        raise OutputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OutputError(f"{manifest}: is no manifest of an evaluation; give the manifest.json in its --out") from None


def differences(recorded: Recorded, evaluation: Evaluation, revision: str) -> Iterator[str]:
    """What does not agree with the recorded run, a line each; none where every byte does."""
    if revision != recorded.revision:
        yield f"the declarations changed: revision {recorded.revision} then, {revision} now"
    if recorded.inputs:
        yield from _changed_inputs(recorded.inputs, _by_file(evaluation.inputs))
    for outcome in evaluation.outcomes:
        name, now = outcome.campaign.name, outcome.as_json()
        then = recorded.campaigns[name]
        changed = [
            f"{reason.replace('_', ' ')} {counts[0]:,} then, {counts[1]:,} now"
            for reason, counts in {
                "included": (then["included"], now["included"]),
                **{reason: (then["excluded"].get(reason, 0), now["excluded"][reason]) for reason in now["excluded"]},
            }.items()
            if counts[0] != counts[1]
        ]
        if changed:
            yield f"{name}: {'; '.join(changed)}"
        elif then.get("sha256", then.get("rows")) != evaluation.digests.get(name):
            yield f"{name}: the same numbers, but not the same audience"


def _by_file(inputs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The digests that a manifest holds, by source and file."""
    return {one["source"]: {file["file"]: file["sha256"] for file in one["files"]} for one in inputs}


def _changed_inputs(then: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for source in sorted({*then, *now}):
        before, after = then.get(source, {}), now.get(source, {})
        for file in sorted({*before, *after}):
            if before.get(file) != after.get(file):
                what = (
                    "was not read then" if file not in before else "is not read now" if file not in after else "changed"
                )
                yield f"{source}: {what}" if file == source else f"{source}: {file} {what}"
