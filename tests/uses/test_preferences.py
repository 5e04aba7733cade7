"""Pairs of answers with and without heads, in the form that trl reads."""

import json
from pathlib import Path

import pandas as pd
import pytest
from good_things import Things

from rh_lens.heads import Head
from rh_lens.runtime import answer_prompts, stop_rule
from rh_lens.uses import PreferencePairs, contrastive_pairs


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    return Things(tmp_path_factory.mktemp("good"))


def test_the_bundled_models_answers_are_preferred_to_those_without_its_heads(
    things: Things, tmp_path: Path
) -> None:
    prompts = things.prompts[:4]
    pairs = contrastive_pairs(things.model, prompts, ["L2H2", "L2H3", "L2H4"], progress=False)
    table = pairs.to_dataframe()
    assert pairs.n_prompts == 4
    assert len(table) >= 2
    assert (table["chosen_recall"] > table["rejected_recall"]).all()
    # The chosen ones are the plain model's, and a prompt's text is its tokens without the BOS.
    plain = answer_prompts(
        things.model, prompts, max_new_tokens=32, stop=stop_rule(things.tokenizer)
    )
    said = {one["plain"].index: one["plain"].generation.text for one in plain}
    for row in table.itertuples():
        assert row.chosen == said[row.trial]
        assert things.tokenizer.encode(row.prompt) == prompts[row.trial].tokens.tolist()
    pairs.write(tmp_path / "pairs.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert lines == table[["prompt", "chosen", "rejected"]].to_dict("records")


def test_heads_that_no_answer_depends_on_give_no_pair(things: Things, tmp_path: Path) -> None:
    pairs = contrastive_pairs(
        things.model, things.prompts[:2], "L3H0", only_better=False, progress=False
    )
    assert repr(pairs) == f"PreferencePairs({len(pairs.table)} of 2 prompts)"
    empty = PreferencePairs(pd.DataFrame(), (Head(3, 0),), 2)
    with pytest.raises(ValueError, match=r"found none in 2 prompts\. Silence heads that"):
        empty.write(tmp_path / "pairs.jsonl")
    assert not (tmp_path / "pairs.jsonl").exists()
