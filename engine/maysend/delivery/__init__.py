"""Delivery: events go from the ledger to every sink, at least once and in order, each sink at its own pace.

The ledger is the outbox. A sink has a cursor there and a thread here, so that one that is slow or down holds up
nothing else, and loses nothing.
"""

from .cloud_events import SCHEMA_ID, TYPE, cloud_event, source_of
from .running import Running, start
from .sinks import DeclaredSink, declared

__all__ = ["SCHEMA_ID", "TYPE", "DeclaredSink", "Running", "cloud_event", "declared", "source_of", "start"]
