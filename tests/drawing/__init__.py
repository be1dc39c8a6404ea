"""Worlds (see ``oracle``) drawn at random by hypothesis: small, full of ties, missing values and edges."""

from .worlds import World, worlds

__all__ = ["World", "worlds"]
