"""Texts fit 80 columns, and the heat map in characters says what the scores say."""

import pytest
import torch
from score_cases import make_scores

from rh_lens.analysis import audit_scores, compare_scores
from rh_lens.views import summarise
from rh_lens.views.terminal import block_map, table_text, wrapped

NAN = float("nan")


def test_columns_that_do_not_fit_follow_after_the_same_keys():
    rows = [{"K": "1", "kind": "a", "x": "0.5", "long": "y" * 12},
            {"K": "10", "kind": "bc", "x": "1", "long": "z"}]  # fmt: skip
    assert table_text(rows, n_keys=2, width=20) == (
        " K kind   x\n 1 a    0.5\n10 bc     1\n\n"
        " K kind         long\n 1 a    yyyyyyyyyyyy\n10 bc              z"
    )
    assert len(table_text(rows, n_keys=2).splitlines()) == 3
    assert table_text(rows, n_keys=1, left=["kind"]).splitlines()[1].startswith(" 1 a ")


def test_a_column_wider_than_the_terminal_stands_alone():
    rows = [{"K": "1", "x": "y" * 30, "z": "0"}]
    assert table_text(rows, width=20) == f"K {' ' * 29}x\n1 {'y' * 30}\n\nK z\n1 0"


def test_sentences_are_wrapped_between_words():
    text = wrapped("word " * 30)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[1].startswith("  word")
    assert text.split() == ["word"] * 30


def test_the_map_has_a_row_for_each_layer_and_a_character_for_each_head():
    lines = block_map([[0.0, 0.05, 0.1, 0.39], [0.41, 0.7, 1.5, NAN]], 0.1).splitlines()
    assert lines[1:3] == ["  0 ·░▒▒", "  1 ▓██"]
    assert lines[3].endswith("▒ 0.1  ▓ 0.4  █ 0.7  (blank: no score)")


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (80, 64), (126, 128), (3, 1000)])
def test_the_map_of_every_model_fits(shape):
    scores = torch.zeros(shape)
    scores[-1, -1] = 1.0
    lines = block_map(scores.tolist(), 0.1).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 34
    assert lines[-2].endswith("█")
    assert sum(line.count("█") for line in lines[1:-1]) == 1


def test_the_map_is_an_option_of_a_run(run):
    result = run()
    assert "  0 ·█··\n  1 ··▓·\n  2 ····" in summarise(result, heat_map=True)
    assert "█" not in summarise(result)
    with pytest.raises(TypeError, match="heat_map"):
        summarise(result, heat_map="yes")


def test_audits_and_comparisons_of_real_size_fit():
    generator = torch.Generator().manual_seed(0)
    models = {
        f"a-model-with-a-name-{index}": make_scores(torch.rand(12, 6, 8, generator=generator))
        for index in range(3)
    }
    texts = [
        summarise(audit_scores(models["a-model-with-a-name-0"])),
        summarise(compare_scores(models, n_permutations=20)),
    ]
    for text in texts:
        assert max(map(len, text.splitlines())) <= 80
