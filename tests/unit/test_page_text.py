"""What a page says, as the evidence of a choice keeps it."""

from __future__ import annotations

import pytest

from maysend.web.text import visible


@pytest.mark.parametrize(
    "html",
    [
        "<html><head><title>x</title></head><body><h1>Leave</h1> <p>news</p></body></html>",
        "<html><head><title>x</title><body><h1>Leave</h1><p>news</p>",
        "<!doctype html><title>x</title><style>p {}</style></style></template><h1>Leave</h1><p>news</p>",
        "<body><script>x()</script><template>y</template><h1>Leave</h1>news</body>",
    ],
)
def test_it_is_what_a_reader_sees(html: str) -> None:
    assert visible(html) == "Leave news"
