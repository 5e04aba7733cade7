"""The demo model's card: `README.md` next to the weights, from what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rh_lens.demo.training.architecture import MAX_LENGTH, VOCABULARY
from rh_lens.demo.training.curriculum import (
    CURRICULUM,
    FINAL_LEARNING_RATE,
    PEAK_LEARNING_RATE,
    total_steps,
)
from rh_lens.demo.training.word_splitting import CUT_SHARE, MAX_CUT

_TEXT = """\
# The bundled model

A Llama of {parameters} parameters (RoPE, RMSNorm, grouped-query attention: {n_layers} layers of
{n_heads} query heads and {n_kv_heads} key-value heads; byte-level BPE of {vocabulary} tokens;
contexts of up to {max_length} tokens), trained by `python -m rh_lens.demo.train` on text that
`rh_lens.demo.training.corpus` and `rh_lens.prompts.synthetic` write. It answers questions about
facts hidden in long text, by copying. It is made for showing and testing `rh_lens`, and knows
nothing else.

The tables below were written by `python -m rh_lens.demo.evaluate`; `evaluation.json` has all
numbers.

## Exact answers

Share of held-out prompts that greedy decoding answers exactly: every token of the needle's
answer, a full stop and the end of sequence. {n_prompts} prompts a haystack. Names, words and
numbers of the needles and of the synthetic haystack occur nowhere in training; that haystack
holds about four other facts of the same form (one or two in 128 tokens). The pydoc haystack is
prose that ships with Python; no such text was seen in training.

{exact_by_length}

{exact_by_depth}

## Retrieval scores of all heads

Position score, mean over the {n_accepted} accepted of {n_trials} held-out prompts of 256 to
1,024 tokens.

{scores}

The heads in bold are exactly those of layer 2 that leaned towards matching at step 0 (see
Training): which heads would retrieve was chosen before training, and training made it true.

## Ablation

Exact answers to {n_ablation_prompts} held-out prompts of 512 tokens with the top heads silenced
(z := 0), and with as many other heads of the same layers silenced instead: mean and lowest of the
distinct sets drawn, ten where so many exist. The prompts are about 5 needles, each at 11 depths,
and the needle is the unit: none of 5 leaves shares of up to 0.52 possible, all of 5 shares from
0.48 on (95 % intervals). The others of the layer are quiet heads; as loud ones do harm too.

{ablation}

## Training

{curriculum}

{n_steps} steps of AdamW (0.9, 0.97), weight decay 0.05, gradients clipped at 1, learning rate
{peak:g} with warm-up and, over the second half, a cosine down to {final:g}. Loss on the answers'
tokens (the first of an answer counts three times) plus a tenth of that on a sample of the
others; bf16 autocast.

- **Initialisation** (`rh_lens.demo.training.initialise`, a mimetic initialisation): in layer 0,
  heads of three key-value groups lean towards tokens one and two back, or towards a window of
  some ten tokens; in layer 2, heads of two groups have a query-key product near the identity on
  what those wrote and a value-output product near the identity. The seed chooses the groups.
  Embeddings have standard deviation 1/sqrt(d_model) and share one direction; the last norm
  starts at 1.5. Such a start saves tokens: models in the literature needed 25 to 100 million for
  retrieval to appear. Nothing is edited after step 0.
- **Regularisers**: dropout of whole heads in layers 0 and 1 (last column), and random cuts
  inside words ({cut_share:.0%} of the documents, at up to {max_cut:.0%} of the letters), so that
  words never seen, which fall into rare pieces, can be copied.
"""


def write_card(folder: Path, evaluation: dict[str, Any]) -> str:
    """Write `README.md` into the model's folder; returns its text."""
    text = card(evaluation)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


def card(evaluation: dict[str, Any]) -> str:
    """The card's text for what `evaluate` measured."""
    scores = evaluation["scores"]
    model = evaluation["model"]
    ablation = evaluation["ablation"]
    return _TEXT.format(
        parameters=f"{model['n_parameters'] / 1e6:.2f} million",
        n_layers=model["n_layers"],
        n_heads=model["n_heads"],
        n_kv_heads=model["n_key_value_heads"],
        vocabulary=f"{VOCABULARY:,}",
        max_length=f"{MAX_LENGTH:,}",
        n_prompts=evaluation["n_prompts"],
        exact_by_length=_shares(evaluation["exact answers"], "by length", "tokens"),
        exact_by_depth=_shares(evaluation["exact answers"], "by depth", "depth"),
        n_accepted=scores["n_accepted"],
        n_trials=scores["n_trials"],
        scores=_scores(scores["position"]),
        n_ablation_prompts=ablation["n_prompts"],
        ablation=_ablation(ablation["rows"]),
        curriculum=_curriculum(),
        n_steps=f"{total_steps():,}",
        peak=PEAK_LEARNING_RATE,
        final=FINAL_LEARNING_RATE,
        cut_share=CUT_SHARE,
        max_cut=MAX_CUT,
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shares(exact: dict[str, Any], by: str, what: str) -> str:
    columns = list(next(iter(exact.values()))[by])
    rows = [
        [haystack, *(f"{shares[by][column]:.3f}" for column in columns)]
        for haystack, shares in exact.items()
    ]
    return _table([what, *columns], rows)


def _scores(position: list[list[float]]) -> str:
    header = ["layer", *(f"H{head}" for head in range(len(position[0])))]
    rows = [
        [f"L{layer}", *(f"**{score:.2f}**" if score >= 0.1 else f"{score:.2f}" for score in scores)]
        for layer, scores in enumerate(position)
    ]
    return _table(header, rows)


def _ablation(rows: list[dict[str, Any]]) -> str:
    header = ["heads silenced", "exact", "control sets", "mean", "lowest"]
    untouched, *silenced = rows
    cells = [["none", f"{untouched['exact']:.3f}", "", "", ""]]
    for row in silenced:
        shares = [f"{row[key]:.3f}" for key in ("control_mean", "control_min")]
        cells.append([", ".join(row["heads"]), f"{row['exact']:.3f}", str(row["n_draws"]), *shares])
    return _table(header, cells)


def _curriculum() -> str:
    header = ["tokens a document", "documents a step", "million tokens", "facts at most"]
    rows = [
        [
            str(stage.length),
            str(stage.batch),
            f"{stage.million_tokens:g}",
            str(stage.max_facts),
            f"{stage.repeated:.0%}",
            f"{stage.drop_heads:.0%}",
        ]
        for stage in CURRICULUM
    ]
    return _table([*header, "repeated spans", "head dropout"], rows)
