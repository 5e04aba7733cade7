"""The README's code runs, and its first session prints what the README says."""

import pytest
import written_code

README = (written_code.ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = written_code.fenced(README)
FIRST, *OTHERS = [content for language, content in BLOCKS if language == "python"]
PRINTED = next(content for language, content in BLOCKS if language == "text")


@pytest.fixture(scope="module")
def session():
    """Names that the first session leaves behind, and what it prints."""
    names = {}
    return names, written_code.run(FIRST, names)


def test_the_first_session_prints_what_stands_below_it(session):
    assert len(FIRST.strip().splitlines()) <= 12
    assert written_code.same_output(session[1], PRINTED)


@pytest.mark.slow
def test_what_follows_goes_on_from_there(session):
    """Four heads silenced leave less than a tenth of the answers, others all of them."""
    names, _ = session
    printed = "".join(written_code.run(code, names) for code in OTHERS)
    assert "Needle recall with the top K heads silenced" in printed
    curve = names["curve"].to_dataframe().set_index("k")
    assert curve["top"][4] < 0.1
    controls = names["curve"].controls_to_dataframe().set_index("k")
    assert controls["control"][4] > 0.8
    assert set(names["errors"]["error"]) >= {"hallucination"}
    assert names["sources"].n_steps > 0
