import json
import re

import pytest

from rh_lens.cli import main


@pytest.mark.slow
def test_the_demo_page_tells_of_the_run_and_of_the_ablation(tmp_path, capsys):
    assert main(["demo-page", "--out", str(tmp_path), "--quiet"]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    data = json.loads(found[1])
    assert {"heat", "grid", "curve", "grid-none", "grid-top"} <= data["charts"].keys()
    assert len(page) < 1_000_000
    # What is there is not made again.
    assert main(["demo-page", "--out", str(tmp_path), "--quiet"]) == 0
    assert "holds this run already" in capsys.readouterr().err
