"""How needles are packed is chosen once for a run."""

import pytest

from rh_lens.runs.packing import PACKING, keep_packing, read_packing

RUN = {"options": {"depths": "2"}, "needles": "ab"}
PACKED, ALONE = {"asked_together": 4, "checks": []}, {"asked_together": 1, "checks": []}


def test_the_first_choice_stays(tmp_path):
    assert read_packing(tmp_path / "new", RUN) is None
    assert keep_packing(tmp_path / "new", RUN, PACKED) == PACKED
    assert keep_packing(tmp_path / "new", RUN, ALONE) == PACKED
    assert read_packing(tmp_path / "new", RUN) == PACKED
    assert [one.name for one in (tmp_path / "new").iterdir()] == [PACKING]


def test_another_runs_choice_is_refused(tmp_path):
    keep_packing(tmp_path, RUN, PACKED)
    message = r"options.depths: .*2.* there, .*3.* here. Name another folder"
    with pytest.raises(ValueError, match=message):
        read_packing(tmp_path, {**RUN, "options": {"depths": "3"}})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": {}}', '{"key": 3, "choice": {}}'])
def test_a_damaged_choice_is_told(tmp_path, text):
    (tmp_path / PACKING).write_text(text)
    with pytest.raises(ValueError, match=r"found what can't be read .* Remove the file"):
        read_packing(tmp_path, RUN)
