"""A black-box check of any system's unsubscribe link: what mail programs and mail scanners do to it, one after another.

It unsubscribes whom the link belongs to. A GET that unsubscribes can only be told from outside where the page changes
or asks for nothing any more, so a pass says that nothing was seen.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from html.parser import HTMLParser
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from .errors import MaysendError

ONE_CLICK = b"List-Unsubscribe=One-Click"
_URLENCODED = "application/x-www-form-urlencoded"
_BOUNDARY = "maysend-boundary"
_MULTIPART = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{_BOUNDARY}--\r\n'
).encode()
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"
"""What a link may hold beside letters and digits; what it may not hold is sent as browsers do, in percents."""

_SECONDS = 20
_MOST = 2_000_000
_QUIET = ("no-referrer", "same-origin")
_HEADERS = {"list-unsubscribe", "list-unsubscribe-post"}
_UNSEEN = ("script", "style", "template")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

FORMS: Mapping[str, tuple[str, bytes]] = {
    "urlencoded": (_URLENCODED, ONE_CLICK),
    "urlencoded, with a charset": (f"{_URLENCODED}; charset=UTF-8", ONE_CLICK),
    "multipart": (f"multipart/form-data; boundary={_BOUNDARY}", _MULTIPART),
    "multipart, boundary in quotes": (f'multipart/form-data; boundary="{_BOUNDARY}"', _MULTIPART),
}
"""The bodies of a one-click POST that RFC 8058, section 3.2 allows."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: whether it is as it must be, and what was seen."""

    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


def check_link(url: str) -> Iterator[Check]:
    """Look at a link, and yield what is found as it is found. Raises MaysendError where the link cannot be reached."""
    parts = _parts(url)
    local = parts.hostname in _LOOPBACK
    yield Check("the link is HTTPS (RFC 8058, 3.1)", parts.scheme == "https" or local, parts.scheme)
    page = follow(url)
    yield Check("GET shows a page", page.status == 200, f"status {page.status}")
    asks = _Forms(page.text).posts
    yield Check("GET asks before it unsubscribes", asks, "a form that posts" if asks else "no form that posts")
    yield _cookies("GET sets no cookie", page)
    yield from _harmless(url, page)
    for name, (kind, body) in FORMS.items():
        yield _one_click(f"one-click POST, {name}", request("POST", url, body, {"Content-Type": kind}))
    again = request("POST", url, ONE_CLICK, {"Content-Type": _URLENCODED})
    yield _one_click("one-click POST, once more", again)
    yield _cookies("one-click POST needs and sets no cookie", again)
    yield from _headers(page)
    yield from _foreign(url)


def check_message(content: bytes) -> tuple[str | None, list[Check]]:
    """The one-click link in an e-mail's headers, and whether they are as RFC 2369 and RFC 8058 want them."""
    message = message_from_bytes(content, policy=policy.default)
    links = re.findall(r"<([^>]*)>", str(message.get("List-Unsubscribe", "")))
    found = [link for link in links if link.lower().startswith("https://")]
    post = str(message.get("List-Unsubscribe-Post", "missing"))
    signatures = [_signed(signature) for signature in message.get_all("DKIM-Signature", [])]
    signed = max(signatures, key=lambda names: len(names & _HEADERS), default=set())
    checks = [
        Check("List-Unsubscribe holds one HTTPS link", len(found) == 1, f"{len(found)} HTTPS links"),
        Check("List-Unsubscribe-Post is right (RFC 8058, 3.1)", post == ONE_CLICK.decode(), post),
        Check(
            "a DKIM signature covers both (RFC 8058, 4)",
            signed >= _HEADERS,
            f"signed: {', '.join(sorted(signed)) or 'nothing'}",
        ),
    ]
    return (found[0] if found else None), checks


def follow(url: str) -> Answer:
    """GET as a browser does, following a few redirects."""
    for _ in range(5):
        answer = request("GET", url)
        if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
            break
        url = urljoin(url, answer.headers["location"])
    return answer


def is_link(url: str) -> bool:
    """Whether a text is a link that ``check_link`` can look at."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def request(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request, with no cookie and no redirect followed. Raises MaysendError where no answer comes."""
    parts = _parts(url)
    path = quote(parts.path or "/", _AS_IT_IS) + (f"?{quote(parts.query, _AS_IT_IS)}" if parts.query else "")
    connection = _connect(parts.scheme, parts.hostname or "", parts.port)
    try:
        connection.request(method, path, body, {"User-Agent": "maysend-check-unsubscribe", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(_MOST).decode("utf-8", "replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a host that is no name
        raise MaysendError(f"{parts.scheme}://{parts.netloc}: gives no answer to {method}: {error}") from None
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    """A link taken apart. Raises MaysendError where it is none."""
    if not is_link(url):
        raise MaysendError(f"{url}: is not a link")
    return urlsplit(url)


def _connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=_SECONDS)


def _harmless(url: str, before: Answer) -> Iterator[Check]:
    """What scanners send, and whether the page says the same afterwards."""
    for method in ("HEAD", "OPTIONS"):
        answer = request(method, url)
        yield Check(f"{method} is answered", answer.status < 500, f"status {answer.status}")
    same = _Forms(follow(url).text).text == _Forms(before.text).text
    seen = "the page says the same as before" if same else "the page says something else than before"
    yield Check("GET, HEAD and OPTIONS change nothing", same, seen)


def _one_click(name: str, answer: Answer) -> Check:
    redirect = answer.headers.get("location")
    detail = f"status {answer.status}{', redirects, which RFC 8058, 3.2 forbids' if redirect else ''}"
    return Check(name, 200 <= answer.status < 300, detail)


def _cookies(name: str, answer: Answer) -> Check:
    cookies = answer.headers.get_all("set-cookie") or []
    return Check(name, not cookies, ", ".join(cookie.partition("=")[0] for cookie in cookies) or "none")


def _headers(page: Answer) -> Iterator[Check]:
    """A page whose address is a secret must not be kept, told to others, or shown inside another page."""
    frames = "frame-ancestors" in page.headers.get("content-security-policy", "") or "x-frame-options" in page.headers
    wanted: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
        ("the page is not cached", "cache-control", lambda value: "no-store" in value),
        ("the page tells no other site its address", "referrer-policy", lambda value: value in _QUIET),
    )
    for name, header, is_right in wanted:
        value = page.headers.get(header, "")
        yield Check(name, is_right(value.lower()), f"{header}: {value or 'missing'}")
    yield Check("the page cannot be framed", frames, "frame-ancestors or x-frame-options" if frames else "missing")


def _foreign(url: str) -> Iterator[Check]:
    """A link that nobody was sent: a letter in the middle of what says who is another one."""
    parts = urlsplit(url)
    told = f"{parts.path}?{parts.query}"
    # A path's words have no digits, and so the longest part that has one says who; where none has, the last part does.
    places = list(re.finditer(r"(?<=[/=])[^/?&=]+", told))
    numbered = [place for place in places if re.search(r"\d", place[0])]
    who = max(numbered, key=lambda place: len(place[0])) if numbered else places[-1] if places else None
    if who is None:
        yield Check("a changed link is refused", passed=False, detail="the link does not say whom it is for")
        return
    middle = (who.start() + who.end()) // 2
    letter = "A" if told[middle] != "A" else "B"
    path, _, query = f"{told[:middle]}{letter}{told[middle + 1 :]}".partition("?")
    foreign = request("GET", parts._replace(path=path, query=query).geturl())
    yield Check("a changed link is refused", 400 <= foreign.status < 500, f"status {foreign.status}")


def _signed(signature: str) -> set[str]:
    """The headers that a signature covers."""
    tags = dict(tag.strip().split("=", 1) for tag in str(signature).split(";") if "=" in tag)
    return {name.strip().lower() for name in tags.get("h", "").split(":")} - {""}


class _Forms(HTMLParser):
    """The text that a page shows, and whether a form on it posts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.posts = False
        self._unseen = 0
        self._text: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.posts |= (dict(attrs).get("method") or "").lower() == "post"
        self._unseen += tag in _UNSEEN

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._text.append(data)
