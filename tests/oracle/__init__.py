"""The slow, obvious reading of the specification: what every decision must be, one profile at a time.

It is written from spec sections 3, 4 and 5 and shares no line with the engine: no SQL, no masks, no plan, only the
standard library. A *world* is one plain mapping, as it would stand in YAML:

- ``as_of`` (RFC 3339), ``timezone`` (default UTC), ``key`` (the key column, default ``id``)
- ``columns`` of the profile table by name: a type as ``columns:`` in project.yaml says it, or a mapping for a struct
- ``profiles``: rows, a missing key is a missing value
- ``events``: by name ``{profile, at, columns, rows}``; ``sends``: ``{profile, channel, at, columns, rows}``
- ``lists``: files that ``in_list`` names, ``{columns, rows}`` each
- ``channels``, ``groups``, ``segments`` (name to ``where``), ``campaigns``: as declared, titles left out
- ``frequency_caps``, ``control_groups``: as in project.yaml
- ``facts``: answers in the order they arrive, ``{channel, group, address, profile, answer, at, type}``;
  addresses are normalized already
"""

from .addresses import OPT_IN
from .answers import Consent, recorded
from .decisions import Reasons, decide
from .world import World, read

__all__ = ["OPT_IN", "Consent", "Reasons", "World", "decide", "read", "recorded"]
