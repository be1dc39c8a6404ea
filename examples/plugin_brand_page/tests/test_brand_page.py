"""What maysend asks of every renderer, and what is this one's own."""

import maysend_brand_page
from maysend_brand_page.words import WORDS

from maysend.testing import PageRendererSuite, check_plugin


class TestRecordSleeve(PageRendererSuite):
    page_renderer = maysend_brand_page.register_page_renderers()[0]


def test_maysend_takes_it() -> None:
    assert set(check_plugin(maysend_brand_page)) == {"register_page_renderers"}


def test_no_language_lacks_a_word() -> None:
    assert {frozenset(words) for words in WORDS.values()} == {frozenset(WORDS["en"])}
