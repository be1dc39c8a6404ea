"""Every campaign of a run: how many are included, why the others are not, and the files that say who."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from sqlglot import exp

from . import loader, output, revisions
from .backends.backend import Partitioning
from .errors import OutputError
from .events import isoformat
from .guards import Tripped, guards_of, tripped
from .inputs import Inputs
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

    ``aborted`` is set where the campaign's target cap stopped it, ``tripped`` are the guards that do not hold, and
    ``before`` is the size of the audience they were compared with; ``samples`` are a few keys per reason.
    """

    campaign: Campaign
    counts: dict[str, int]
    aborted: bool
    samples: dict[str, list[str]]
    tripped: tuple[Tripped, ...] = ()
    before: int | None = None

    @property
    def refusals(self) -> list[str]:
        """Why the campaign has no audience, a line each; none where it has one."""
        found = [f"{self.campaign.name}: {one}; it has no audience" for one in self.tripped]
        if self.aborted and (cap := self.campaign.target_cap):
            over = f"{self.counts['over_target_cap']:,} people passed, over its target cap of {cap.at_most:,}"
            found.append(f"{self.campaign.name}: {over}; it has no audience")
        return found

    def as_json(self) -> dict[str, Any]:
        excluded = {reason: self.counts[reason] for reason in REASONS}
        found: dict[str, Any] = {
            "name": self.campaign.name,
            "included": self.counts[reads.INCLUDED],
            "excluded": excluded,
        }
        if self.campaign.ignore_unsubscribed:
            found["ignore_unsubscribed"] = self.campaign.ignore_unsubscribed
        if self.tripped:
            found["tripped"] = [{"guard": one.guard, "limit": one.limit, "why": one.why} for one in self.tripped]
        return found | ({"samples": self.samples} if self.samples else {})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run found. ``digests`` is the SHA-256 of each audience written (on Spark, sums over its rows), by
    campaign; ``inputs`` are the sources that it read and the digests of their files, where it wrote a manifest."""

    as_of: datetime
    population: int
    outcomes: list[Outcome]
    digests: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[Mapping[str, Any]] = ()

    def as_json(self) -> dict[str, Any]:
        campaigns = [outcome.as_json() for outcome in self.outcomes]
        return {"as_of": isoformat(self.as_of), "population": self.population, "campaigns": campaigns}


def sizes_before(directory: Path) -> dict[str, int]:
    """How large each campaign's audience was in the last run that wrote ``directory`` and let it through.

    A run whose audience a guard or a target cap held back hands on what it was compared with itself.
    """
    manifest = output.manifest_in(directory)
    if not manifest or manifest.get("replay"):
        return {}
    sizes = {one["name"]: one.get("included" if "file" in one else "before") for one in manifest["campaigns"]}
    return {name: size for name, size in sizes.items() if size is not None}


def evaluate(
    run: Run,
    campaigns: Sequence[Campaign],
    *,
    out: Path | None = None,
    format: Format = "parquet",
    decisions: bool = False,
    sample: int = 0,
    replay: bool = False,
    before: Mapping[str, int] = MappingProxyType({}),
) -> Evaluation:
    """Decide for the campaigns, and with ``out`` write each one's audience (and with ``decisions`` everyone's reason).

    ``sample`` asks for that many keys per reason. ``replay`` marks files and manifest as not for sending. ``before``
    has the sizes that ``max_change_percent`` compares with.
    """
    if out and format == "csv" and isinstance(run.backend, Partitioning):
        raise OutputError(
            "--format csv: Spark writes audiences as Parquet, a directory for each campaign; leave it out"
        )
    if out is None:
        outcomes, population, _ = _decided(run, campaigns, None, format, decisions, sample, replay, before)
        run.backend.check_sources()
        return Evaluation(run.clock.as_of, population, outcomes)
    with Output(out) as written, Inputs(run.project.root) as inputs:
        inputs.add(run.backend.inputs())
        outcomes, population, files = _decided(run, campaigns, written, format, decisions, sample, replay, before)
        run.progress("reading the digests of what was read")
        inputs.add(run.backend.inputs())
        digests = {name: file.get("sha256") or file["rows"] for name, file in files.items()}
        evaluation = Evaluation(run.clock.as_of, population, outcomes, digests, inputs.found())
        run.backend.check_sources()
        written.write_manifest(_manifest(run, evaluation, files) | ({"replay": True} if replay else {}))
    return evaluation


def _decided(
    run: Run,
    campaigns: Sequence[Campaign],
    written: Output | None,
    format: Format,
    decisions: bool,
    sample: int,
    replay: bool,
    before: Mapping[str, int],
) -> tuple[list[Outcome], int, dict[str, dict[str, str]]]:
    """Every outcome by name, the population, and each audience's file and its digest."""
    population = 0 if campaigns else run.population()
    outcomes, files = [], {}
    for plan in run.plans(campaigns, addresses=written is not None):
        population, counted = reads.waterfall(plan, run.backend)
        if written:
            reads.keep(plan, run.backend)
        for index, counts in enumerate(counted):
            outcome = _outcome(run, plan.asked[index].campaign, counts, _samples(run, plan, index, sample), before)
            outcomes.append(outcome)
            name = outcome.campaign.name
            if written and not outcome.refusals and not isinstance(run.backend, Partitioning):
                run.progress(f"writing {name}")
                file = f"{name}.replay.{format}" if replay else f"{name}.{format}"
                run.backend.write(reads.audience(plan, index), written.file(file))
                files[name] = {"file": file, "sha256": written.digest(file)}
            if written and decisions:
                run.backend.write(reads.reasons(plan, index), written.file(f"{name}.decisions.{format}"))
        if written and isinstance(run.backend, Partitioning):
            sendable = {outcome.campaign.name for outcome in outcomes if not outcome.refusals}
            files |= _together(run, run.backend, plan, written, sendable, "replay" if replay else "campaign")
    return sorted(outcomes, key=lambda outcome: outcome.campaign.name), population, files


def _together(
    run: Run, backend: Partitioning, plan: Plan, written: Output, sendable: Collection[str], by: str
) -> dict[str, dict[str, str]]:
    """Write a plan's audiences in one job, a directory for each campaign; of each its name, and what tells its rows."""
    named = {index: asked.campaign.name for index, asked in enumerate(plan.asked) if asked.campaign.name in sendable}
    if not named:
        return {}
    run.progress(f"writing {len(named)} audiences")
    rows = backend.write_partitioned(reads.audiences(plan, named, by), by, named.values(), written.file(""))
    return {name: {"file": f"{by}={name}", "rows": rows[name]} for name in named.values()}


def _outcome(
    run: Run, campaign: Campaign, counts: dict[str, int], samples: dict[str, list[str]], before: Mapping[str, int]
) -> Outcome:
    cap = campaign.target_cap
    aborted = bool(cap and cap.when_exceeded == "abort" and counts["over_target_cap"])
    guards, compared = guards_of(run.project, campaign), before.get(campaign.name)
    held = tripped(guards, counts[reads.INCLUDED], compared)
    return Outcome(
        campaign, counts, aborted, samples, held, compared if guards.max_change_percent is not None else None
    )


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
    at = revisions.commit(run.project.root, loader.DECLARATIONS)
    return {
        "maysend": version("maysend"),
        "duckdb": version("duckdb"),
        "project": run.project.title,
        "revision": run.project.revision,
        "commit": at.sha if at else None,
        "dirty": at.dirty if at else None,
        "ledger": {"seq": run.ledger_seq},
        "inputs": evaluation.inputs,
        **evaluation.as_json(),
        "campaigns": [
            outcome.as_json()
            | ({} if outcome.before is None else {"before": outcome.before})
            | files.get(outcome.campaign.name, {})
            for outcome in evaluation.outcomes
        ],
    }
