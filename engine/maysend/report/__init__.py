"""A run in numbers and pictures, for people who decide: one HTML file that works offline (``maysend report``)."""

from .numbers import Report, gather
from .page import page
from .pictures import check_extra

__all__ = ["Report", "check_extra", "gather", "page"]
