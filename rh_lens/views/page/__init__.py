"""One page of a run: a file that opens anywhere, without network.

A section is a function from the content to its HTML and to what the script reads; `SECTIONS` lists
them in their order.
"""

from rh_lens.views.page.content import PageContent, page_content, require_own_tokenizer
from rh_lens.views.page.document import SECTIONS, page_html, save_page
from rh_lens.views.page.section import Section

__all__ = [
    "SECTIONS",
    "PageContent",
    "Section",
    "page_content",
    "page_html",
    "require_own_tokenizer",
    "save_page",
]
