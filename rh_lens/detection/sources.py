"""Where every head looked, row by row."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_span, require_tensor, require_whole_number
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class AttentionSources:
    """Most-attended positions of recorded attention rows; all tensors on the CPU.

    Rows are steps: in decoding, row t predicted generated token t. The axis `layer` holds only
    layers with attention; `layers` says which.

    Args:
        layers: Indices in the model of the layers with attention.
        n_layers: Layers in the model, those without attention included.
        query_position: Absolute position of each row's own token; the row predicts the next.
        source: Absolute key position with the largest weight, the first one in a tie. Absolute also
            where a sliding window has shortened the key axis.
        weight: Attention weight on the source, in [0, 1].
        margin: How much less the second most-attended key gets, in [0, 1]: how firm the source is.
            0 in a tie, as bf16 patterns have in one row of a hundred.
        needle_mass: Attention on the recorder's needle span, in [0, 1]; None without a span.
        sink_mass: Attention on the first token of the context, in [0, 1]; 0 where out of sight.
        first_visible: First key position the row can see.
    """

    layers: tuple[int, ...]
    n_layers: int
    query_position: Int[Tensor, " step"]
    source: Int[Tensor, "step layer head"]
    weight: Float[Tensor, "step layer head"]
    margin: Float[Tensor, "step layer head"]
    needle_mass: Float[Tensor, "step layer head"] | None
    sink_mass: Float[Tensor, "step layer head"]
    first_visible: Int[Tensor, "step layer"]

    __repr__ = short_repr

    @property
    def n_steps(self) -> int:
        """Number of recorded rows."""
        return len(self.query_position)

    @property
    def n_ties(self) -> int:
        """Number of rows of a head with more than one most-attended position."""
        return int((self.margin == 0).sum())

    def answer_rows(self, prompt_length: int, n_steps: int) -> "AttentionSources":
        """The rows that predicted the `n_steps` tokens after a prompt, in order.

        Row t is the one at position `prompt_length - 1 + t`. Where a position was recorded more
        than once (a rejected draft, a second answer to the same prompt), its last row counts; rows
        of the prompt and of a stop token are left out.

        Args:
            prompt_length: Length of the prompt in tokens.
            n_steps: Number of generated tokens, stop token not counted.

        Raises:
            TypeError: A number is no whole one.
            ValueError: A position was never recorded, or a number is out of range.
        """
        require_whole_number("prompt_length", prompt_length, at_least=1)
        require_whole_number("n_steps", n_steps, at_least=0, at_most=10**9)
        row_at = {position: row for row, position in enumerate(self.query_position.tolist())}
        wanted = range(prompt_length - 1, prompt_length - 1 + n_steps)
        missing = [position for position in wanted if position not in row_at]
        if missing:
            raise ValueError(
                f"Expected recorded rows at positions {wanted.start} to {wanted.stop - 1}; found "
                f"none at {missing[:5]} (recorded: {sorted(row_at)[:5]} ...). Check prompt_length, "
                "and record the pass of the prompt's last token: its row predicts the first token."
            )
        rows = torch.tensor([row_at[position] for position in wanted], dtype=torch.long)
        return self._take(rows)

    def require_needle_mass(self) -> Float[Tensor, "step layer head"]:
        """Attention on the needle span.

        Raises:
            ValueError: The recorder had no span.
        """
        if self.needle_mass is None:
            raise ValueError(
                "Expected sources with needle_mass; found None. Record them with "
                "SourceRecorder(model, needle_span=prompt.answer_span)."
            )
        return self.needle_mass

    def visible(self, span: tuple[int, int]) -> Bool[Tensor, "model_layer head"]:
        """Heads of the model with a recorded row that could see a position of the half-open span.

        False in layers without attention, and everywhere when there is no row.

        Raises:
            TypeError: It is no pair of whole numbers.
            ValueError: The span is empty or negative.
        """
        start, stop = require_span("span", span)
        in_reach = (self.first_visible < stop) & (self.query_position[:, None] >= start)
        saw = torch.zeros(self.n_layers, self.source.shape[-1], dtype=torch.bool)
        saw[list(self.layers)] = in_reach.any(dim=0)[:, None]
        return saw

    def by_model_layer(
        self, values: Float[Tensor, "layer head"]
    ) -> Float[Tensor, "model_layer head"]:
        """Values of the layers with attention at their place in the model, NaN elsewhere.

        Raises:
            TypeError: They are no tensor.
            ValueError: There are more or fewer layers.
        """
        require_tensor("values", values, ("layer", "head"))
        if len(values) != len(self.layers):
            raise ValueError(
                f"Expected values of the {len(self.layers)} layers with attention; found "
                f"{len(values)}. Leave out the other layers."
            )
        placed = values.new_full((self.n_layers, values.shape[-1]), torch.nan)
        placed[list(self.layers)] = values
        return placed

    def _take(self, rows: Int[Tensor, " row"]) -> "AttentionSources":
        """Sources of some rows only."""
        return replace(
            self,
            query_position=self.query_position[rows],
            source=self.source[rows],
            weight=self.weight[rows],
            margin=self.margin[rows],
            needle_mass=None if self.needle_mass is None else self.needle_mass[rows],
            sink_mass=self.sink_mass[rows],
            first_visible=self.first_visible[rows],
        )
