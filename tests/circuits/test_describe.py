"""Every head by every detector, in one table."""

import pytest

from rh_lens.circuits import DETECTORS, describe_heads

QUICK = ("previous token", "induction", "retrieval: position", "subject")


@pytest.fixture(scope="module")
def survey(demo, demo_prompts):
    return describe_heads(demo, demo_prompts[:2], only=QUICK)


def test_the_bundled_model_s_heads_have_their_kinds(survey, retrieval) -> None:
    assert survey.left_out == {}
    assert set(survey.scores["retrieval: position"].top(4)) == set(retrieval)
    assert set(survey.scores["induction"].top(4)) == set(retrieval)
    assert [head.label for head in survey.scores["previous token"].top(2)] == ["L0H5", "L0H2"]


def test_the_table_has_a_row_a_head_and_a_column_a_kind(survey) -> None:
    table = survey.to_dataframe()
    assert table.columns.tolist() == ["layer", "head", "label", *QUICK]
    assert len(table) == 32
    row = table.set_index("label").loc["L0H5"]
    assert row["previous token"] == float(survey.scores["previous token"].mean()[0, 5])
    for name in QUICK:
        assert table[name].between(DETECTORS[name].low, 1).all(), name
    kinds = survey.kinds().set_index("name")
    assert kinds.loc["induction", "source"] == "Olsson et al. 2022, arXiv:2209.11895"
    assert kinds.loc["previous token", "top"].startswith("L0H5 0.9")


def test_what_gives_nothing_is_left_out_with_its_reason(tiny_model, otter_prompt) -> None:
    bridge = tiny_model("deepseek-v3").bridge
    survey = describe_heads(
        bridge, [otter_prompt], only=["sink", "copying", "retrieval: position", "truthfulness"]
    )
    assert list(survey.scores) == ["sink"]
    assert "Expected heads with values of their own" in survey.left_out["copying"]
    assert "Expected at least one accepted trial" in survey.left_out["retrieval: position"]
    assert survey.left_out["truthfulness"].startswith("Expected prompts to have 2 or more entries")
    assert "left out: " in survey.kinds().set_index("name").loc["copying", "top"]


def test_bad_inputs_are_refused(llama, otter_prompt) -> None:
    with pytest.raises(ValueError, match="Did you mean 'induction'"):
        describe_heads(llama, [otter_prompt], only=["inductions"])
    with pytest.raises(ValueError, match="Expected scores of 1 detectors; found none"):
        describe_heads(llama, [otter_prompt], only=["truthfulness"])
