import pandas as pd
import pytest

from rh_lens import analysis
from rh_lens.detection import trial_table

WITH_TRIALS = ["head_activation", "score_profile"]


@pytest.mark.parametrize("name", WITH_TRIALS)
def test_a_run_stands_for_its_scores_and_trials(run, name):
    result, measure = run(), getattr(analysis, name)
    apart = measure(result.scores, trial_table(result.accepted))
    pd.testing.assert_frame_equal(measure(result).to_dataframe(), apart.to_dataframe())


@pytest.mark.parametrize("name", ["measure_sparsity", "threshold_sensitivity", "audit_scores"])
def test_a_run_stands_for_its_scores(run, name):
    result, measure = run(), getattr(analysis, name)
    assert repr(measure(result)) == repr(measure(result.scores))


def test_a_run_brings_its_events(run):
    result = run()
    trials = trial_table(result.accepted)
    apart = analysis.answer_map(result.scores, result.events, trials)
    assert analysis.answer_map(result).share.equal(apart.share)


def test_scores_alone_do_not_know_their_trials(run):
    with pytest.raises(TypeError, match=r"trial_table\(result.trials\), or pass the result"):
        analysis.score_intervals(run().scores)
