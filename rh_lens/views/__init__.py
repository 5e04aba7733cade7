"""Results made readable."""

from rh_lens.views.summary import summarise

__all__ = ["summarise"]
