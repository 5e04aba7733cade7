"""A checklist of doubts as text."""

from textwrap import fill
from typing import get_args

from rh_lens.doubts import Checklist, Doubt, DoubtVerdict
from rh_lens.views.summarise import text_of

_WIDTH = 80


@text_of.register
def _(checklist: Checklist) -> str:
    counts = ", ".join(f"{checklist.count(one)} {one}" for one in get_args(DoubtVerdict))
    parts = [_told(one) for one in checklist.doubts]
    parts += [
        _filled(f"left out  {name}: {reason}", indent=2) for name, reason in checklist.left_out
    ]
    left = f", {len(checklist.left_out)} left out" if checklist.left_out else ""
    return "\n".join([*parts, f"{counts}{left}."])


def _told(doubt: Doubt) -> str:
    """A doubt in a few lines: the verdict, what speaks against, what was tested and found."""
    lines = [
        _filled(f"{doubt.verdict.upper()}  {doubt.name}: {doubt.claim}", indent=2),
        _filled(f"  against: {doubt.against}", indent=11),
        _filled(f"  test:    {doubt.test}", indent=11),
        _filled(f"  result:  {doubt.result}", indent=11),
    ]
    return "\n".join(lines) + "\n"


def _filled(text: str, *, indent: int) -> str:
    return fill(text, _WIDTH, subsequent_indent=" " * indent, break_long_words=False)
