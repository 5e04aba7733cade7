"""CircuitsVis without a network: its script is written into the page."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from rh_lens.checks import require_path
from rh_lens.files import replacing


@dataclass(frozen=True)
class OfflineView:
    """A picture of CircuitsVis that needs no network; it shows itself in a notebook.

    Args:
        html: Caption, picture and script (1.3 MB), to be put into any page.
        caption: What is shown.
    """

    html: str
    caption: str

    def __repr__(self) -> str:
        return f"OfflineView({self.caption!r}, {len(self.html) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | Path) -> None:
        """Write a page that opens without network.

        Raises:
            OSError: It can't be written.
            TypeError: The path is no path.
            ValueError: It is empty or holds a zero byte.
        """
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.caption)}</title></head>"
            f'<body style="font-family:sans-serif;background:#fff;color:#000">{self.html}'
            "</body></html>"
        )
        with replacing(require_path("path", path)) as temporary:
            temporary.write_text(page, encoding="utf-8")


def offline_view(element: str, caption: str, **properties: Any) -> OfflineView:
    """One of CircuitsVis's elements with its script inside.

    CircuitsVis's own views fetch their script from a CDN wherever they think there is a network, do
    not escape their properties, and stay blank when one number is NaN.

    Args:
        element: Name of the React element, such as "ColoredTokensMulti".
        caption: Written above it, escaped.
        properties: What the element shows. Tensors become lists, with 0 for NaN.

    Raises:
        ImportError: CircuitsVis is not installed, or has no script with it.
    """
    name = f"circuits-vis-{uuid4()}"
    plain = {key: _plain(value) for key, value in properties.items()}
    # In a script, "</script>" and "<!--" would end it: no "<" is left.
    data = json.dumps(plain).replace("<", "\\u003c")
    html = (
        f'<figure style="margin:0"><figcaption>{escape(caption)}</figcaption>'
        f'<div id="{name}" style="margin:12px 0"></div></figure>'
        f'<script type="module">{_script()}\n'
        f'CircuitsVis.render("{name}", CircuitsVis.{element}, {data})</script>'
    )
    return OfflineView(html, caption)


def _plain(value: Any) -> Any:
    """Lists in place of tensors, without NaN: one would blank the picture."""
    if isinstance(value, Tensor):
        return value.detach().float().cpu().nan_to_num(nan=0.0).mul(1e4).round().div(1e4).tolist()
    return value


def _script() -> str:
    """CircuitsVis's bundled script, as it may be inside a page."""
    try:
        import circuitsvis
    except ImportError as error:
        raise ImportError(
            "Expected circuitsvis for this view; found none. Install rh-lens[viz], or use "
            "plot_answer_map."
        ) from error
    path = Path(circuitsvis.__file__).parent / "dist" / "cdn" / "iife.js"
    if not path.exists():
        raise ImportError(
            f"Expected CircuitsVis to bring its script at {path}; found none, and without it a "
            "view would need a network. Install the wheel of circuitsvis 1.43.3: pip install "
            "--force-reinstall circuitsvis==1.43.3."
        )
    return path.read_text(encoding="utf-8").replace("</script>", "")


def about_nan(values: Tensor) -> str:
    """A sentence on numbers that are NaN, if some are."""
    n = int(torch.isnan(values).sum())
    return f" {n} values are NaN and drawn as 0." if n else ""
