"""The demo model's weights at step 0: heads that lean towards looking back and towards matching.

In the literature the circuit of retrieval takes 25 to 100 million tokens to appear; a lean saves
most of them. This one is a *mimetic initialisation*: layer 0 gets heads that prefer the previous
tokens, layer 2 heads whose query-key product is near the identity on what those heads wrote and
whose value-output product is near the identity on the tokens themselves. The seed chooses the
heads. Training then changes every weight; nothing is edited after step 0.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

PREVIOUS_TOKEN_LAYER = 0
MATCHING_LAYER = 2
# Share of a token's embedding norm that lies in one direction common to all tokens.
COMMON = 0.5
# Weight of each rotary pair in the logit of heads that look back: sharply, and over a window.
NEAR = {0: 0.35, 1: 0.25, 2: 0.15, 3: 0.10, 4: 0.08, 5: 0.07}
WINDOW = {2: 0.3, 3: 0.25, 4: 0.2, 5: 0.15, 6: 0.1}
LOOK_BACK_LOGIT = 12.0
MATCH_GAIN, MATCH_VALUE = math.sqrt(5.0), 0.5
FINAL_NORM = 1.5


def initialise(model: LlamaForCausalLM, seed: int, matching_layer: int = MATCHING_LAYER) -> None:
    """Set every weight of `model` from `seed`."""
    with torch.no_grad():
        _Initialiser(model, seed).run(matching_layer)


class _Initialiser:
    def __init__(self, model: LlamaForCausalLM, seed: int):
        self.model = model
        self.config = model.config
        self.random = torch.Generator().manual_seed(seed)
        d_model, self.d_head = self.config.hidden_size, self.config.head_dim
        self.per_group = self.config.num_attention_heads // self.config.num_key_value_heads
        basis = self._orthogonal(d_model)
        # One direction that every token has; looking back by position alone reads nothing else.
        self.common, self.free = basis[0], basis[1:]

    def run(self, matching_layer: int) -> None:
        self._plain_weights()
        layers = self.model.model.layers
        near, near_too, window = self._groups(3)
        attention = layers[PREVIOUS_TOKEN_LAYER].self_attn
        one = self._look_back(attention, near, NEAR, distances=(1, 2), gain=0.37)
        two = self._look_back(attention, near_too, NEAR, distances=(1, 2), gain=0.37)
        recent = self._look_back(attention, window, WINDOW, distances=(4, 10), gain=0.8)
        attention = layers[matching_layer].self_attn
        first, second = self._groups(2)
        self._match(attention, first, queries=[one.read, one.written[0]], keys=one.written)
        self._match(
            attention,
            second,
            queries=[two.read, recent.written[0] + recent.written[1]],
            keys=[two.written[0], recent.written[0] + recent.written[1]],
        )

    def _plain_weights(self) -> None:
        config = self.config
        for parameter in self.model.parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                self._normal(parameter, 0.02)
        embedding = self.model.get_input_embeddings().weight
        self._normal(embedding, 1 / math.sqrt(config.hidden_size))
        embedding += COMMON * self.common
        self.model.model.norm.weight.fill_(FINAL_NORM)
        for layer in self.model.model.layers:
            layer.self_attn.o_proj.weight /= math.sqrt(2 * config.num_hidden_layers)
            layer.mlp.down_proj.weight /= math.sqrt(2 * config.num_hidden_layers)

    def _look_back(
        self,
        attention: Any,
        group: int,
        profile: dict[int, float],
        distances: tuple[int, int],
        gain: float,
    ) -> "_Written":
        """Heads of one key-value group that prefer the tokens at some distance back.

        Queries and keys are constant, so that rotary embedding alone decides: the logit at
        distance d is a sum over rotary pairs i of weight_i cos(theta_i (d - distance)).
        """
        half = self.d_head // 2
        component = COMMON / math.sqrt(1 + COMMON**2) * math.sqrt(self.config.hidden_size)
        amplitude = torch.zeros(half)
        for pair, weight in profile.items():
            amplitude[pair] = weight
        amplitude = (amplitude * LOOK_BACK_LOGIT * math.sqrt(self.d_head)).sqrt() / component
        key = torch.cat([amplitude, torch.zeros(half)])
        read = self._rows(self.free)
        _head_rows(attention.k_proj, group, self.d_head).add_(torch.outer(key, self.common))
        _head_rows(attention.v_proj, group, self.d_head).copy_(gain * read)
        written = []
        for place, distance in enumerate(distances):
            turn = distance * self._angles()
            query = torch.cat([amplitude * turn.cos(), -amplitude * turn.sin()])
            head = group * self.per_group + place
            written.append(self._rows(self.free))
            _head_rows(attention.q_proj, head, self.d_head).add_(torch.outer(query, self.common))
            _head_columns(attention.o_proj, head, self.d_head).copy_(gain * written[-1].T)
        return _Written(read, written)

    def _match(self, attention: Any, group: int, queries: list[Tensor], keys: list[Tensor]) -> None:
        """Heads of one key-value group whose logit is what queries and keys have in common.

        Only rotary pairs that hardly turn over the longest context take part; the first query is
        compared with the first key on one half of them, the second with the second on the other.
        """
        half = self.d_head // 2
        slow = torch.arange(half)[self._angles() * self.config.max_position_embeddings < 1.0]
        mix = self._orthogonal(self.d_head)
        parts = [(slow, mix[: len(slow)]), (slow + half, mix[len(slow) : 2 * len(slow)])]
        value = self._rows(torch.eye(self.config.hidden_size))
        _head_rows(attention.v_proj, group, self.d_head).copy_(MATCH_VALUE * value)
        key_rows = _head_rows(attention.k_proj, group, self.d_head)
        for (rows, projection), key in zip(parts, keys, strict=True):
            key_rows[rows] += MATCH_GAIN * projection @ key
        for head in range(group * self.per_group, (group + 1) * self.per_group):
            query_rows = _head_rows(attention.q_proj, head, self.d_head)
            for (rows, projection), query in zip(parts, queries, strict=True):
                query_rows[rows] += MATCH_GAIN * projection @ query
            _head_columns(attention.o_proj, head, self.d_head).copy_(MATCH_VALUE * value.T)

    def _angles(self) -> Tensor:
        """Rotation of each rotary pair, in radians a position."""
        theta = self.config.rope_parameters["rope_theta"]
        return theta ** (-torch.arange(0, self.d_head, 2) / self.d_head)

    def _groups(self, n: int) -> list[int]:
        """Key-value groups that the seed chooses."""
        order = torch.randperm(self.config.num_key_value_heads, generator=self.random)
        return order[:n].tolist()

    def _rows(self, space: Tensor) -> Tensor:
        """Orthonormal rows, one for each head dimension, at random in the row space of `space`."""
        return self._orthogonal(len(space))[: self.d_head] @ space

    def _orthogonal(self, n: int) -> Tensor:
        return torch.linalg.qr(torch.randn(n, n, generator=self.random))[0]

    def _normal(self, tensor: Tensor, std: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=self.random) * std)


@dataclass(frozen=True)
class _Written:
    """What heads that look back read from a token, and where each of them writes it."""

    read: Tensor
    written: list[Tensor]


def _head_rows(projection: nn.Linear, head: int, d_head: int) -> Tensor:
    return projection.weight.data[head * d_head : (head + 1) * d_head]


def _head_columns(projection: nn.Linear, head: int, d_head: int) -> Tensor:
    return projection.weight.data[:, head * d_head : (head + 1) * d_head]
