"""The README's first session prints what the README says."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_first_session_prints_what_stands_below_it(capsys):
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", README, flags=re.DOTALL)[:2]
    assert len(code.strip().splitlines()) <= 12
    exec(compile(code, "README.md", "exec"), {})
    found, expected = capsys.readouterr().out.split(), printed.split()
    assert len(found) == len(expected)
    for word, other in zip(found, expected, strict=True):
        if re.fullmatch(r"\d+\.\d+", other):
            # Another processor may round a tie the other way.
            assert float(word) == pytest.approx(float(other), abs=0.02)
        else:
            assert word == other
