"""Scores of queries kept in a folder as they come, so that a ranking can go on."""

from typing import Any

from rh_lens.uses.ranking_quality import RankedQuery
from rh_lens.uses.result_log import ResultLog


class RankingLog(ResultLog):
    """What passages of queries scored, in a folder; those of other heads or models are refused.

    As `done` and `on_query` of `ranking_quality`:

        log = RankingLog("runs/ranked", key)
        ranking_quality(model, cases, methods, done=log.queries, on_query=log.add)

    Args:
        folder: Where; it must exist.
        key: What the scores come from, as JSON values: weights, template, heads.

    Raises:
        OSError: The folder can't be read.
        TypeError: The key is no mapping.
        ValueError: The folder holds queries of something else, or a damaged file.
    """

    file, what = "ranked.json", "queries"

    @property
    def queries(self) -> dict[str, RankedQuery]:
        """Scores of the passages by the queries' names in this file."""
        return self.found

    def _require(self, one: Any) -> None:
        for scores in dict(one).values():
            _ = [float(score) for score in scores]
