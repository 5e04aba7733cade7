import numpy as np
import pytest
import torch

from rh_lens.analysis import audit_scores
from rh_lens.detection import RetrievalScores, ScoreOrigin
from rh_lens.views import summarise


def describe(values, source=None):
    values = torch.as_tensor(values, dtype=torch.float64)
    scores = RetrievalScores(values, "published", tuple(range(len(values))), source)
    audit = audit_scores(scores, thresholds=[0.1, 0.5])
    return summarise(audit)


def unwrapped(text):
    return text.replace("\n  ", " ")


@pytest.fixture
def collapsed():
    """Two copies of two collapsed sweeps, the first sample of each run of one all zeros."""
    distinct = np.array([[[0.9, 0.0]], [[0.0, 0.0]], [[0.9, 0.25]], [[1.5, 0.0]]])
    return np.concatenate([np.repeat(distinct, [9, 1, 9, 1], axis=0)] * 2)


def test_every_flaw_is_named_with_its_number(collapsed):
    source = ScoreOrigin("scores.json", "ab12", "head lists", 40)
    text = unwrapped(describe(collapsed, source))
    assert text.startswith("scores.json: head lists, sha256 ab12")
    assert "samples: 40, distinct: 4" in text
    assert "runs of equal samples: 4 of length 9, 4 of length 1" in text
    # 36 samples that are not all zeros in 6 runs, of which 3 of the 15 pairs are equal.
    assert "depth sweep: collapsed; in runs of equal samples: 36 of 38" in text
    assert "equal neighbours: 86 %, other runs: 20 %" in text
    assert "as a missed needle leaves them: 2" in text
    assert "as an appended run makes: 2" in text
    assert "scores above 1: 2; the highest score: 1.5" in text
    assert "heads with scores above 1: 1; most: L0H0 2" in text
    assert "heads: 2; by mean score > 0.1: 2 (100.00 %); above 0 on every sample: 0" in text
    assert "each sample once, 0.1: leave L0H1" in text


def test_a_sound_table_says_so():
    text = unwrapped(describe([[[0.9, 0.0, float("nan")]], [[0.8, 0.05, float("nan")]]]))
    assert text.startswith("samples: 2, distinct: 2")
    assert "depth sweep: no collapse; in runs of equal samples: 0 of 2" in text
    assert "scores above 1: 0; the highest score: 0.9" in text
    assert "(0, 0.1]: 1 (50.00 %); above 0 on every sample: 1; without a score: 1" in text
    assert text.endswith("no head comes or goes")
    assert "appended" not in text
