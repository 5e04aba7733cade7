"""Which heads carry which part of the answer, as a picture."""

from typing import TYPE_CHECKING

from rh_lens.analysis import AnswerMap
from rh_lens.checks import require_type, require_whole_number, shown
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.representation.heat_map_svg import tick_places
from rh_lens.views.drawing import SCORE_COLOURS, cell_size, new_figure, write_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NUMBERS = 150


def plot_answer_map(found: AnswerMap, *, heads: HeadsLike | None = None, k: int = 10) -> "Figure":
    """Picture of heads (down) against parts of the answer (across).

    Each cell is the share of a part that a head copied, from 0 (light) to 1 (dark); grey where it
    could never see one. Below each part is the number of trials that have it.

    Args:
        found: From `answer_map`.
        heads: The heads to draw, in this order; None takes k.
        k: Of all heads those with the highest share of any part, best first.

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such head, or k is below 1.

    Examples:
        >>> plot_answer_map(answer_map(result, n_parts=3)).savefig("answer_map.png")
    """
    require_type("found", found, AnswerMap, remedy="Make it with answer_map.")
    require_whole_number("k", k, at_least=1)
    drawn = _best(found, k) if heads is None else _known(found, heads)
    share = found.share[[head.layer for head in drawn], [head.head for head in drawn]]
    n_rows, n_parts = share.shape
    width, height = cell_size(n_rows, n_parts, wide=4.2, most=0.45, tall=4.0, least=0.4)
    figure = new_figure(max(width * n_parts, 2.4) + 1.5, height * n_rows + 1.3)
    axes = figure.subplots()
    axes.set_facecolor("#bdbdbd")
    image = axes.imshow(share, cmap=SCORE_COLOURS, vmin=0, vmax=1, aspect="auto",
                        interpolation="nearest")  # fmt: skip
    if share.numel() <= _MOST_NUMBERS and min(width, height) > 0.3:
        write_numbers(axes, share.tolist(), dark_is_low=False)
    axes.set_yticks(range(n_rows), [head.label for head in drawn])
    places = tick_places(n_parts, max(1, round(n_parts * width / 0.4)))
    axes.set_xticks(places, [_part_label(found, place) for place in places])
    of = "answer token" if found.unit == "token" else "place in the answer (0 to 1)"
    axes.set_xlabel(f"{of}; below: trials with it")
    figure.suptitle("share of the answer's tokens that each head copied", x=0.02, ha="left", size=9)
    beside = 0.12 / (width * n_parts)
    scale = axes.inset_axes((1 + beside, 0, beside, 1))
    figure.colorbar(image, cax=scale, ticks=[0, 0.5, 1])
    return figure


def _best(found: AnswerMap, k: int) -> list[Head]:
    """The k heads with the highest share of any part."""
    best = found.strongest(found.share[..., 0].numel()).sort_values(
        ["share", "layer", "head"], ascending=[False, True, True]
    )
    best = best.drop_duplicates("label").head(k)
    return [Head(*place) for place in zip(best["layer"], best["head"], strict=True)]


def _known(found: AnswerMap, heads: HeadsLike) -> list[Head]:
    """The heads asked for, if the model has them."""
    drawn = list(as_heads(heads))
    n_layers, n_heads, _ = found.share.shape
    absent = [h.label for h in drawn if h.layer >= n_layers or h.head >= n_heads]
    if absent or not drawn:
        raise ValueError(
            f"Expected one or more heads of {n_layers} layers of {n_heads}; found "
            f"{shown(absent or [])}. Name heads of the map."
        )
    return drawn


def _part_label(found: AnswerMap, part: int) -> str:
    start = found.parts[part][0]
    name = f"{start:g}" if found.unit == "token" else f"{start:.2g}"
    return f"{name}\n{int(found.n_trials[part])}"
