"""Scores of chosen heads at each length and depth, as a picture."""

from typing import TYPE_CHECKING, Any

from rh_lens.analysis import ScoreProfile
from rh_lens.checks import require_choice, require_type, require_whole_number, shown
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.views.drawing import DASHES, LINES, MARKERS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_HEADS = len(LINES)


def plot_score_profile(
    profile: ScoreProfile,
    *others: ScoreProfile,
    heads: HeadsLike | None = None,
    k: int = 5,
    value: str = "score",
) -> "Figure":
    """Picture of heads' scores at each length, depth or needle: one panel for each profile.

    Levels are at equal distances. Lines differ by colour, dash and marker.

    Args:
        profile: From `score_profile`, by "context_length" say.
        others: More of the same scores, by "requested_depth" say, beside it.
        heads: Up to seven heads to draw; None takes k.
        k: Of all heads those with the highest value at any level of the first profile.
        value: "score" or "activation".

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such head or value, or there are more than seven heads.

    Examples:
        >>> profile = score_profile(result, by="requested_depth")
        >>> plot_score_profile(profile, k=3).savefig("depths.png")
    """
    profiles = (profile, *others)
    for one in profiles:
        require_type("profile", one, ScoreProfile, remedy="Make it with score_profile.")
    require_whole_number("k", k, at_least=1, at_most=_MOST_HEADS)
    require_choice("value", value, ("score", "activation"))
    drawn = _best(profile, value, k) if heads is None else _known(profiles, heads)
    figure = new_figure(1.6 + 2.1 * len(profiles), 2.8)
    panels = figure.subplots(1, len(profiles), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, profiles, strict=True):
        _draw(axes, one, drawn, value)
    panels[0].set_ylabel("score" if value == "score" else "activation frequency")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


def _draw(axes: "Axes", profile: ScoreProfile, heads: list[Head], value: str) -> None:
    values = getattr(profile, value)
    places = range(len(profile.levels))
    for index, head in enumerate(heads):
        axes.plot(places, values[:, head.layer, head.head].numpy(), label=head.label,
                  color=LINES[index], ls=DASHES[index], marker=MARKERS[index], ms=5)  # fmt: skip
    step = max(1, -(-len(places) // 5))
    axes.set_xticks(places[::step], [_level(level) for level in profile.levels[::step]])
    if any(isinstance(level, str) for level in profile.levels):
        axes.tick_params("x", rotation=30)
    axes.set_ylim(min(-0.03, float(values.nan_to_num().min())), max(1.03, _highest(values)))
    axes.grid(axis="y", color="#e0e0e0", lw=0.6)
    names = {"context_length": "context length (tokens)", "requested_depth": "depth asked for"}
    axes.set_xlabel(names.get(profile.by, profile.by))


def _highest(values: Any) -> float:
    return 1.03 * float(values.nan_to_num().max())


def _level(level: Any) -> str:
    if isinstance(level, str):
        return level if len(level) <= 12 else f"{level[:11]}…"
    return f"{level:,}" if isinstance(level, int) else f"{level:.2g}"


def _best(profile: ScoreProfile, value: str, k: int) -> list[Head]:
    """The k heads with the highest value at any level."""
    highest = getattr(profile, value).nan_to_num(nan=-1.0).amax(dim=0)
    order = highest.flatten().argsort(descending=True, stable=True)[:k].tolist()
    return [Head(place // highest.shape[1], place % highest.shape[1]) for place in order]


def _known(profiles: tuple[ScoreProfile, ...], heads: HeadsLike) -> list[Head]:
    """The heads asked for, if all profiles have them and each gets a line of its own."""
    drawn = list(as_heads(heads))
    shapes = {tuple(profile.score.shape[1:]) for profile in profiles}
    n_layers, n_heads = (min(sizes) for sizes in zip(*shapes, strict=True))
    absent = [h.label for h in drawn if h.layer >= n_layers or h.head >= n_heads]
    if absent or not 1 <= len(drawn) <= _MOST_HEADS:
        raise ValueError(
            f"Expected 1 to {_MOST_HEADS} heads of {n_layers} layers of {n_heads}; found "
            f"{len(drawn)}, of which not there: {shown(absent)}. Choose fewer, or others."
        )
    return drawn
