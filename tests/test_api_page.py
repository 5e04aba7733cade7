"""The page of public names says what the docstrings say."""

import re

import api_page


def test_the_page_is_that_of_the_docstrings():
    found = api_page.PAGE.read_text(encoding="utf-8")
    assert found == api_page.page(), "Run `python tests/api_page.py`."


def test_every_name_says_what_it_is():
    silent = re.findall(r"^\| \**(`\w+`)\** \|  \|$", api_page.page(), flags=re.MULTILINE)
    assert silent == []
