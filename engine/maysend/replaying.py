"""A run done again from its manifest: the consent of then, and whether every byte agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import OutputError
from .evaluation import Evaluation, Format


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a manifest says of its run; ``seq`` is the ledger's newest event then, ``campaigns`` are by name."""

    file: Path
    as_of: datetime
    seq: int
    revision: str
    campaigns: Mapping[str, Mapping[str, Any]]

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
        return Recorded(manifest, as_of, int(data["ledger"]["seq"]), str(data["revision"]), campaigns)
    except OSError as error:
        raise OutputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OutputError(f"{manifest}: is no manifest of an evaluation; give the manifest.json in its --out") from None


def differences(recorded: Recorded, evaluation: Evaluation, revision: str) -> Iterator[str]:
    """What does not agree with the recorded run, a line each; none where every byte does."""
    if revision != recorded.revision:
        yield f"the declarations changed: revision {recorded.revision} then, {revision} now"
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
        elif then.get("sha256") != evaluation.digests.get(name):
            yield f"{name}: the same numbers, but not the same audience"
