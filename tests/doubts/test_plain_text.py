"""Text with nothing to retrieve: equivalence is shown only where the interval is inside."""

import pandas as pd
import pytest
from planted_circuit import IDLE, INDUCTION

from rh_lens.doubts import PlainText, plain_text_losses, verdict_within
from rh_lens.prompts import text_haystack


def made(rises):
    rows = [("plain", i, 10, 2.0) for i in range(len(rises))]
    rows += [("heads", i, 10, 2.0 + rise) for i, rise in enumerate(rises)]
    return PlainText(pd.DataFrame(rows, columns=["condition", "window", "n_tokens", "nll"]))


def test_a_rise_is_a_mean_over_windows_with_its_interval():
    found = made([0.01, 0.02, 0.03])
    rise = found.rise()
    assert rise.mean == pytest.approx(0.02)
    assert verdict_within(rise, 0.05) == "supported"
    assert verdict_within(rise, 0.01) == "undecided"
    assert verdict_within(made([0.2, 0.21, 0.19]).rise(), 0.05) == "not supported"


def test_an_idle_head_is_of_no_use_and_a_copying_one_is_where_text_repeats(planted):
    # Repeated text is what the planted head continues.
    text = text_haystack(["the grey otter sat on a log and saw a bird fly by . " * 30])
    idle = plain_text_losses(planted, text, IDLE[-1], window=64, n_windows=4)
    assert verdict_within(idle.rise(), 0.05) == "supported"
    copying = plain_text_losses(planted, text, INDUCTION, window=64, n_windows=4)
    assert verdict_within(copying.rise(), 0.05) == "not supported"
    assert copying.rise().low > 0.5
    assert list(copying.to_dataframe()["condition"]) == ["heads", "others"]
