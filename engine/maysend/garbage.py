"""Python's collector of garbage, where nearly everything made lives on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def settle() -> None:
    """What is there now lives on, and is never looked at again: else a server stops for it at every full collection.

    What comes is looked at seldom: a hundred requests under way are no garbage, and were a twelfth of the work.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Declarations and plans are trees of a million nodes that live until the end: to look for garbage among them again
    and again takes a tenth of a run, and a third of reading declarations."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 200_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
