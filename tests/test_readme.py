"""The README's code runs, and its first session prints what the README says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FIRST, *OTHERS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
PRINTED = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)[0]


def run(code, names):
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), names)
    return printed.getvalue()


@pytest.fixture(scope="module")
def session():
    """Names that the first session leaves behind, and what it prints."""
    names = {}
    return names, run(FIRST, names)


def test_the_first_session_prints_what_stands_below_it(session):
    assert len(FIRST.strip().splitlines()) <= 12
    found, expected = session[1].split(), PRINTED.split()
    assert len(found) == len(expected)
    for word, other in zip(found, expected, strict=True):
        if re.fullmatch(r"\d+\.\d+", other):
            # Another processor may round a tie the other way.
            assert float(word) == pytest.approx(float(other), abs=0.02)
        else:
            assert word == other


@pytest.mark.slow
def test_what_follows_goes_on_from_there(session):
    """Four heads silenced leave less than a tenth of the answers, others all of them."""
    names, _ = session
    printed = "".join(run(code, names) for code in OTHERS)
    assert "Needle recall with the top K heads silenced" in printed
    curve = names["curve"].to_dataframe().set_index("k")
    assert curve["top"][4] < 0.1
    controls = names["curve"].controls_to_dataframe().set_index("k")
    assert controls["control"][4] > 0.8
    assert set(names["errors"]["error"]) >= {"hallucination"}
    assert names["sources"].n_steps > 0
