"""How many people a changed default of a subscription group would move, counted by the plan that decides campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .columns import Catalog
from .events import Default
from .hookspecs import ChannelType
from .model import Campaign, Project, Segment
from .moments import Clock
from .targeting import reads
from .targeting.engine import Engine
from .targeting.plan import AUDIENCE, Asked, Plan
from .targeting.preparing import prepare
from .where import InGroups

_DEFAULTS: tuple[Default, Default] = ("subscribed", "unsubscribed")


def moved(
    project: Project,
    group: str,
    channel_types: Mapping[str, ChannelType],
    catalog: Catalog,
    clock: Clock,
    engine: Engine,
) -> int:
    """How many profiles have another status for ``group`` under the one default than under the other."""
    declared = project.groups[group]
    probe = Campaign(
        name=group,
        title=group,
        channel=declared.channel,
        purpose="marketing",
        include=(group,),
        exclude=(),
        groups=None,
        frequency_caps=(),
        control_group=None,
        target_cap=None,
        ignore_unsubscribed=None,
        document=declared.document,
    )
    members = Segment(group, group, InGroups((group,)), declared.document)
    asked = [
        Asked(
            replace(
                project,
                groups={**project.groups, group: replace(declared, default=default)},
                segments={group: members},
                control_groups={},
                frequency_caps=(),
            ),
            probe,
        )
        for default in _DEFAULTS
    ]
    members_under = []
    for one in asked:
        plan = Plan([one], channel_types, catalog, clock)
        prepare(plan, engine, through=AUDIENCE)
        _, (counts,) = reads.waterfall(plan, engine, through=AUDIENCE)
        members_under.append(counts[reads.INCLUDED])
    opt_out, opt_in = members_under
    return opt_out - opt_in
