"""Claims come back from a file as they were, with their verdicts."""

import json
import math

import pytest

from rh_lens.evaluation import Claim, claims_table
from rh_lens.runs import load_claims, save_claims

TEXTS = dict.fromkeys("statement paper place what command against".split(), "nan <b>")


def test_claims_come_back_as_they_were(tmp_path):
    claims = [
        Claim("nan", value=0.5, low=0.4, high=0.6, region=(0.1, math.inf), n=12, **TEXTS),
        Claim("b", value=0.5, p_for=0.01, level=0.9, unit="document", **TEXTS),
        Claim("c", value=math.nan, p_against=math.nan, **TEXTS),
    ]
    path = save_claims(claims, tmp_path / "claims.json")
    again = load_claims(path)
    assert [repr(one) for one in again] == [repr(one) for one in claims]
    assert claims_table(again).equals(claims_table(claims))
    written = json.loads(path.read_text())["claims"]
    assert [one["verdict"] for one in written] == ["holds", "holds", "undecided"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"claims": [{"name": "a"}]}', '{"claims": 3}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "claims.json").write_text(text)
    with pytest.raises(ValueError, match="save_claims"):
        load_claims(tmp_path / "claims.json")
