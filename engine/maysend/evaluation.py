"""Every campaign of a run: how many are included, why the others are not, and the files that say who."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from sqlglot import exp

from .events import isoformat
from .model import Campaign
from .output import Output
from .runner import Run
from .targeting import reads
from .targeting.plan import Plan
from .targeting.stages import REASONS

Format = Literal["parquet", "csv"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One campaign's waterfall. ``counts`` has every reason, and ``included``; they add up to the population.

    ``aborted`` is set where the campaign's target cap stopped it; ``samples`` are a few keys per reason.
    """

    campaign: Campaign
    counts: dict[str, int]
    aborted: bool
    samples: dict[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        excluded = {reason: self.counts[reason] for reason in REASONS}
        found: dict[str, Any] = {
            "name": self.campaign.name,
            "included": self.counts[reads.INCLUDED],
            "excluded": excluded,
        }
        if self.campaign.ignore_unsubscribed:
            found["ignore_unsubscribed"] = self.campaign.ignore_unsubscribed
        return found | ({"samples": self.samples} if self.samples else {})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run found. ``digests`` is the SHA-256 of each audience written, by campaign."""

    as_of: datetime
    population: int
    outcomes: list[Outcome]
    digests: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        campaigns = [outcome.as_json() for outcome in self.outcomes]
        return {"as_of": isoformat(self.as_of), "population": self.population, "campaigns": campaigns}


def evaluate(
    run: Run,
    campaigns: Sequence[Campaign],
    *,
    out: Path | None = None,
    format: Format = "parquet",
    decisions: bool = False,
    sample: int = 0,
    replay: bool = False,
) -> Evaluation:
    """Decide for the campaigns, and with ``out`` write each one's audience (and with ``decisions`` everyone's reason).

    ``sample`` asks for that many keys per reason. ``replay`` marks files and manifest as not for sending.
    """
    if out is None:
        return _decided(run, campaigns, None, format, decisions, sample, replay)
    with Output(out) as output:
        return _decided(run, campaigns, output, format, decisions, sample, replay)


def _decided(
    run: Run,
    campaigns: Sequence[Campaign],
    output: Output | None,
    format: Format,
    decisions: bool,
    sample: int,
    replay: bool,
) -> Evaluation:
    population = 0 if campaigns else run.population()
    outcomes, files = [], {}
    for plan in run.plans(campaigns):
        population, counted = reads.waterfall(plan, run.backend)
        for index, counts in enumerate(counted):
            campaign = plan.asked[index].campaign
            cap = campaign.target_cap
            aborted = bool(cap and cap.when_exceeded == "abort" and counts["over_target_cap"])
            outcomes.append(Outcome(campaign, counts, aborted, _samples(run, plan, index, sample)))
            if output and not aborted:
                run.progress(f"writing {campaign.name}")
                name = f"{campaign.name}.replay.{format}" if replay else f"{campaign.name}.{format}"
                run.backend.write(reads.audience(plan, index), output.file(name))
                files[campaign.name] = {"file": name, "sha256": output.digest(name)}
            if output and decisions:
                run.backend.write(reads.reasons(plan, index), output.file(f"{campaign.name}.decisions.{format}"))
    outcomes.sort(key=lambda outcome: outcome.campaign.name)
    run.backend.check_sources()
    digests = {name: file["sha256"] for name, file in files.items()}
    evaluation = Evaluation(run.clock.as_of, population, outcomes, digests)
    if output:
        output.write_manifest(_manifest(run, evaluation, files) | ({"replay": True} if replay else {}))
    return evaluation


def _samples(run: Run, plan: Plan, index: int, sample: int) -> dict[str, list[str]]:
    """The ``sample`` smallest keys of each reason."""
    found: dict[str, list[str]] = {}
    if not sample:
        return found
    everyone = reads.reasons(plan, index).subquery("r")
    key = exp.column(run.project.profiles.key, quoted=True)
    for reason in (*REASONS, reads.INCLUDED):
        chosen = exp.select(key.copy()).from_(everyone.copy()).where(exp.column("reason", quoted=True).eq(reason))
        if rows := run.backend.rows(chosen.order_by(key.copy()).limit(sample)):
            found[reason] = [str(value) for (value,) in rows]
    return found


def _manifest(run: Run, evaluation: Evaluation, files: dict[str, dict[str, str]]) -> dict[str, Any]:
    campaigns = [outcome.as_json() | files.get(outcome.campaign.name, {}) for outcome in evaluation.outcomes]
    return {
        "maysend": version("maysend"),
        "duckdb": version("duckdb"),
        "project": run.project.title,
        "revision": run.project.revision,
        "ledger": {"seq": run.ledger_seq},
        **evaluation.as_json(),
        "campaigns": campaigns,
    }
