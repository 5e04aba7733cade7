import pytest

from rh_lens.evaluation import AblationTables
from rh_lens.views import plot_curve, summarise


def test_what_cannot_be_summarised_is_refused_with_what_can():
    with pytest.raises(TypeError, match=r"one of AblationCurve, .*RetrievalResult.*Stored"):
        summarise([1.0])


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_a_number_of_heads_that_is_none_is_refused(run, k):
    with pytest.raises((TypeError, ValueError), match="k"):
        summarise(run(), k=k)


def test_an_option_of_another_result_is_refused(run):
    with pytest.raises(TypeError, match="threshold"):
        summarise(run(), threshold=0.2)


def test_tables_of_something_else_are_refused_with_the_missing_column(run):
    tables = AblationTables(curve=run().to_dataframe())
    for show in (summarise, plot_curve):
        with pytest.raises(ValueError, match="top_low"):
            show(tables)
