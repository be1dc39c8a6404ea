"""Cases: made-up people in ``tests/*.yaml``, and what the declarations must decide about them (``maysend test``)."""

from .deciding import Difference, Result, explained, run
from .mutating import Mutation, Mutations, mutate
from .reading import FOLDER, Case, Expected, Read, read
from .worlds import Settings

__all__ = [
    "FOLDER",
    "Case",
    "Difference",
    "Expected",
    "Mutation",
    "Mutations",
    "Read",
    "Result",
    "Settings",
    "explained",
    "mutate",
    "read",
    "run",
]
