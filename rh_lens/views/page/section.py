"""A section of the page, and the parts that its script reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rh_lens.representation import short_repr
from rh_lens.views.page.markup import Html


@dataclass(frozen=True, eq=False)
class Section:
    """One section.

    Args:
        name: Its anchor.
        title: Its heading, and its name in the list of contents.
        html: What stands below the heading.
        data: What the page's script reads, as JSON values: `charts` by name, `trials`.
    """

    name: str
    title: str
    html: Html
    data: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = short_repr
