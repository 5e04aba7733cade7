"""The demo model's weights at step 0: heads that lean towards looking back and towards matching.

Without a lean the circuit of retrieval takes 25 to 100 million tokens to appear. The lean is a
*mimetic initialisation*: layer 0 gets heads that prefer the previous tokens, layer 2 heads whose
query-key product is near the identity on what those heads wrote and whose value-output product
is near the identity on the tokens themselves. The seed chooses the heads. Training then changes
every weight; nothing is edited after step 0.
"""

import math

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

PREVIOUS_TOKEN_LAYER = 0
MATCHING_LAYER = 2
# Share of a token's embedding norm that lies in one direction common to all tokens.
COMMON = 0.5
PREVIOUS_TOKEN_LOGIT = 12.0
FINAL_NORM = 1.5


def initialise(model: LlamaForCausalLM, seed: int) -> None:
    """Set every weight of `model` from `seed`."""
    with torch.no_grad():
        _Initialiser(model, seed).run()


class _Initialiser:
    def __init__(self, model: LlamaForCausalLM, seed: int):
        self.model = model
        self.config = model.config
        self.random = torch.Generator().manual_seed(seed)
        d_model = self.config.hidden_size
        basis = self._orthogonal(d_model, d_model)
        self.common, free = basis[0], basis[1:]
        d_head = self.config.head_dim
        # What looking back reads from a token, one subspace for each key-value group that does it.
        self.read = [free[:d_head], free[d_head : 2 * d_head]]
        # Where it is written: by group, by distance (one token back, two tokens back).
        self.write = [
            [self._rows(free, d_head) for _ in range(self.heads_per_group)] for _ in self.read
        ]

    @property
    def heads_per_group(self) -> int:
        return self.config.num_attention_heads // self.config.num_key_value_heads

    def run(self) -> None:
        d_model, n_layers = self.config.hidden_size, self.config.num_hidden_layers
        for parameter in self.model.parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                self._normal(parameter, 0.02)
        embedding = self.model.get_input_embeddings().weight
        self._normal(embedding, 1 / math.sqrt(d_model))
        embedding += COMMON * self.common
        self.model.model.norm.weight.fill_(FINAL_NORM)
        for layer in self.model.model.layers:
            layer.self_attn.o_proj.weight /= math.sqrt(2 * n_layers)
            layer.mlp.down_proj.weight /= math.sqrt(2 * n_layers)
        for group, choice in enumerate(self._two_groups()):
            self._look_back(self.model.model.layers[PREVIOUS_TOKEN_LAYER].self_attn, choice, group)
        for group, choice in enumerate(self._two_groups()):
            self._match(self.model.model.layers[MATCHING_LAYER].self_attn, choice, group)

    def _look_back(self, attention: nn.Module, group: int, index: int) -> None:
        """Heads of one key-value group that prefer the token one back, two back, ..."""
        d_head, half = self.config.head_dim, self.config.head_dim // 2
        angles = self._angles()
        weights = torch.tensor([0.35, 0.25, 0.15, 0.10, 0.08, 0.07])
        component = COMMON / math.sqrt(1 + COMMON**2) * math.sqrt(self.config.hidden_size)
        amplitude = torch.zeros(half)
        amplitude[: len(weights)] = weights
        amplitude = (amplitude * PREVIOUS_TOKEN_LOGIT * math.sqrt(d_head)).sqrt() / component
        key = torch.cat([amplitude, torch.zeros(half)])
        self._rows_of(attention.k_proj, group)[:] += torch.outer(key, self.common)
        self._rows_of(attention.v_proj, group)[:] = 0.37 * self.read[index]
        for place in range(self.heads_per_group):
            turn = (place + 1) * angles
            query = torch.cat([amplitude * turn.cos(), -amplitude * turn.sin()])
            head = group * self.heads_per_group + place
            self._rows_of(attention.q_proj, head)[:] += torch.outer(query, self.common)
            self._columns_of(attention.o_proj, head)[:] = 0.37 * self.write[index][place].T

    def _match(self, attention: nn.Module, group: int, index: int) -> None:
        """Heads whose keys say what came before a position, whose queries say what is there now."""
        half = self.config.head_dim // 2
        slow = torch.arange(half)[self._angles() * self.config.max_position_embeddings < 1.0]
        n_slow = len(slow)
        mix = self._orthogonal(self.config.head_dim, self.config.head_dim)
        now, before = mix[:n_slow], mix[n_slow : 2 * n_slow]
        gain = math.sqrt(5.0)
        one_back, two_back = self.write[index][0], self.write[index][1]
        key = self._rows_of(attention.k_proj, group)
        key[slow] += gain * now @ one_back
        key[slow + half] += gain * before @ two_back
        value = self._rows(torch.eye(self.config.hidden_size), self.config.head_dim)
        self._rows_of(attention.v_proj, group)[:] = 0.5 * value
        for head in range(group * self.heads_per_group, (group + 1) * self.heads_per_group):
            query = self._rows_of(attention.q_proj, head)
            query[slow] += gain * now @ self.read[index]
            query[slow + half] += gain * before @ one_back
            self._columns_of(attention.o_proj, head)[:] = 0.5 * value.T

    def _angles(self) -> Tensor:
        """Rotation of each rotary pair, in radians a position."""
        d_head = self.config.head_dim
        theta = self.config.rope_parameters["rope_theta"]
        return theta ** (-torch.arange(0, d_head, 2) / d_head)

    def _two_groups(self) -> list[int]:
        order = torch.randperm(self.config.num_key_value_heads, generator=self.random)
        return order[:2].tolist()

    def _rows_of(self, projection: nn.Linear, head: int) -> Tensor:
        d_head = self.config.head_dim
        return projection.weight.data[head * d_head : (head + 1) * d_head]

    def _columns_of(self, projection: nn.Linear, head: int) -> Tensor:
        d_head = self.config.head_dim
        return projection.weight.data[:, head * d_head : (head + 1) * d_head]

    def _rows(self, space: Tensor, n: int) -> Tensor:
        """`n` orthonormal rows at random inside the row space of `space`."""
        return self._orthogonal(len(space), len(space))[:n] @ space

    def _orthogonal(self, n: int, m: int) -> Tensor:
        return torch.linalg.qr(torch.randn(n, m, generator=self.random))[0]

    def _normal(self, tensor: Tensor, std: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=self.random) * std)
