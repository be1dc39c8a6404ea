"""Make profiles.parquet, answers.csv and sends.parquet beside this file, from purchases.parquet.

The purchases are real; so is what is added up from them. Names, addresses, places, tastes, answers and sends are
MADE UP, so that the store has somebody to ask for consent. The same script makes the same files every time:
every person's draws come from a generator of their own, seeded with the customer's number.

Usage: python config/data/make.py [DIRECTORY]
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import duckdb

T = TypeVar("T")
Row = dict[str, Any]

HERE = Path(__file__).parent
END = datetime(1998, 7, 1)  # noqa: DTZ001 - the store's clock is UTC, and Parquet's timestamps have no zone

PROFILES = {
    "customer_id": "INTEGER",
    "first_name": "VARCHAR",
    "email": "VARCHAR",
    "phone": "VARCHAR",
    "country": "VARCHAR",
    "postal_code": "VARCHAR",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "language": "VARCHAR",
    "birthday": "DATE",
    "favourite_genres": "VARCHAR[]",
    "staff": "BOOLEAN",
    "last_visit": "TIMESTAMP",
    "first_purchase": "DATE",
    "last_purchase": "DATE",
    "purchases": "INTEGER",
    "cds": "INTEGER",
    "spent": "DECIMAL(9,2)",
}
SENDS = {"customer_id": "INTEGER", "channel": "VARCHAR", "campaign": "VARCHAR", "sent_at": "TIMESTAMP"}
ANSWERS = ("channel", "group", "address", "profile", "status", "occurred_at", "type", "reason")

FIRST_NAMES = (  # noqa: SIM905 - lines of names read better than a column of them
    "Aisha Amelie Andrew Anna Ben Carlos Chloe Dana David Elena Eric Fatima Grace Hannah Ines Jack James Jin Karen "
    "Kofi Laura Leo Linda Luca Maria Mei Michael Nadia Nora Oscar Paul Priya Rachel Ravi Robert Rosa Sam Sofia Tom Zoe"
).split()
LAST_NAMES = (  # noqa: SIM905 - as above
    "Adams Bauer Bell Carter Chen Clark Diaz Dubois Evans Fischer Fraser Garcia Green Hall Hughes Ito Johnson Khan Kim "
    "Lee Lopez Martin Meyer Miller Moore Nguyen Olsen Patel Petit Reed Rossi Silva Smith Sato Taylor Walker Wong Young"
).split()
DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "home.example.net")
INVALID_EMAILS = ("none", "n/a", "x@@example.com", "example.com", "ask my wife", "@example.org")
GENRES = ("Rock", "Pop", "Jazz", "Classical", "Country", "Blues", "Soundtracks", "Folk", "Electronic")
PLACES = (  # weight, country, language, postal codes, latitude, longitude, phone numbers (N: 2 to 9, #: 0 to 9)
    (24, "US", "en", "100", 40.71, -74.01, "+1N##55501##"),
    (15, "US", "en", "191", 39.95, -75.17, "+1N##55501##"),
    (14, "US", "en", "606", 41.88, -87.63, "+1N##55501##"),
    (14, "US", "en", "900", 34.05, -118.24, "+1N##55501##"),
    (11, "US", "es", "787", 30.27, -97.74, "+1N##55501##"),
    (5, "CA", "en", "M5V", 43.65, -79.38, "+1N##55501##"),
    (3, "CA", "fr", "H2X", 45.50, -73.57, "+1N##55501##"),
    (4, "GB", "en", "SW1", 51.51, -0.13, "+447700900###"),
    (3, "FR", "fr", "750", 48.86, 2.35, "+3363998####"),
    (2, "DE", "de", "101", 52.52, 13.40, ""),
    (2, "NO", "no", "015", 59.91, 10.75, ""),
    (1, "IN", "hi", "110", 28.61, 77.21, ""),
)
GROUPS = (  # group, channel, share who answer, share of those answers that are a yes
    ("new_releases", "email", 0.06, 0.04),
    ("offers", "email", 0.11, 0.03),
    ("recommendations", "email", 0.05, 0.05),
    ("surveys", "email", 0.09, 0.02),
    ("concerts", "email", 0.14, 0.92),
    ("club", "email", 0.05, 0.85),
    ("classical_letter", "email", 0.02, 0.10),
    ("text_offers", "sms", 0.45, 0.80),
)
REASONS = ("too many messages", "not interested any more", "never signed up", "gift purchase", "")


def main(directory: Path) -> None:
    """Write the three files into ``directory``."""
    profiles = list(make_profiles(read_customers()))
    write_parquet(directory / "profiles.parquet", PROFILES, profiles)
    write_parquet(directory / "sends.parquet", SENDS, make_sends(profiles))
    with (directory / "answers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ANSWERS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(make_answers(profiles), key=lambda row: str(row["occurred_at"])))


def read_customers() -> list[Row]:
    """What the purchases say of each customer, by number."""
    found = duckdb.execute(
        """
        SELECT customer_id, min(purchased_on) AS first_purchase, max(purchased_on) AS last_purchase,
               count(*) AS purchases, sum(cds) AS cds, sum(dollars) AS spent
        FROM read_parquet(?) GROUP BY customer_id ORDER BY customer_id
        """,
        [str(HERE / "purchases.parquet")],
    )
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def make_profiles(customers: Iterable[Row]) -> Iterator[Row]:
    """One profile a customer; about one in fifty shares the e-mail address of the customer before."""
    email_before = None
    for customer in customers:
        draw = Random(f"profile {customer['customer_id']}")
        _, country, language, postal, latitude, longitude, numbers = weighted(draw, PLACES)
        first_name, last_name = one_of(draw, FIRST_NAMES), one_of(draw, LAST_NAMES)
        email = make_email(draw, f"{first_name}.{last_name}.{customer['customer_id']}".lower())
        if draw.random() < 0.02:
            email = email_before
        email_before = email
        placed = draw.random() < 0.9
        yield {
            **customer,
            "first_name": first_name,
            "email": email,
            "phone": make_phone(draw, numbers),
            "country": country if draw.random() < 0.97 else None,
            "postal_code": f"{postal}{whole(draw, 0, 99):02}",
            "latitude": round(latitude + draw.random() - 0.5, 4) if placed else None,
            "longitude": round(longitude + draw.random() - 0.5, 4) if placed else None,
            "language": language if draw.random() < 0.9 else None,
            "birthday": date(1930, 1, 1) + timedelta(whole(draw, 0, 18_000)) if draw.random() < 0.7 else None,
            "favourite_genres": make_genres(draw),
            "staff": draw.random() < 0.004,
            "last_visit": moment(draw, customer["last_purchase"]),
        }


def make_email(draw: Random, local: str) -> str | None:
    """Mostly a good address; some are missing, invalid, or typed with capitals and blanks."""
    address = f"{local}@{one_of(draw, DOMAINS)}"
    kind = draw.random()
    if kind < 0.03:
        return None
    if kind < 0.045:
        return one_of(draw, INVALID_EMAILS)
    if kind < 0.08:
        return f" {address.title()} "
    return address


def make_phone(draw: Random, numbers: str) -> str | None:
    """A third have one, in E.164, with separators or ``00`` as people type them, or without its country."""
    kind = draw.random()
    if not numbers or kind > 0.35:
        return None
    digits = {"N": (2, 9), "#": (0, 9)}
    number = "".join(str(whole(draw, *digits[sign])) if sign in digits else sign for sign in numbers)
    if kind < 0.02:
        return number[-7:]
    if kind < 0.06:
        return f"00{number[1:]}"
    if kind < 0.14:
        return f"{number[:-7]} {number[-7:-4]}-{number[-4:]}"
    return number


def make_genres(draw: Random) -> list[str] | None:
    """None for those never asked, up to three for the others, possibly none of them."""
    if draw.random() < 0.4:
        return None
    return sorted({one_of(draw, GENRES) for _ in range(whole(draw, 0, 3))})


def make_answers(profiles: Iterable[Row]) -> Iterator[Row]:
    """Everybody's answers, in the columns that ``maysend import`` reads."""
    for profile in profiles:
        draw = Random(f"answers {profile['customer_id']}")
        email = usable_email(profile["email"])
        phone = usable_phone(profile["phone"])
        for group, channel, share, yes in GROUPS:
            if draw.random() < share and (channel == "email" or phone):
                address = email if channel == "email" else phone
                yield from answer_and_return(draw, profile, channel, group, address, draw.random() < yes)
        if draw.random() < 0.03:
            yield from answer_and_return(draw, profile, "email", "", email, False)
        if email and draw.random() < 0.02:
            yield report(draw, profile, email)
        if phone and draw.random() < 0.02:
            yield from answer_and_return(draw, profile, "sms", "", phone, False)


def answer_and_return(
    draw: Random, profile: Row, channel: str, group: str, address: str | None, yes: bool
) -> Iterator[Row]:
    """One answer, and from one in eight people another that takes it back."""
    first = answer(draw, profile, channel, group, address, yes, profile["first_purchase"])
    yield first
    if draw.random() < 0.125:
        yield answer(draw, profile, channel, group, address, not yes, date.fromisoformat(first["occurred_at"][:10]))


def answer(draw: Random, profile: Row, channel: str, group: str, address: str | None, yes: bool, since: date) -> Row:
    """A page answers for address and profile, a shop assistant for the profile, an older system for the address."""
    level = draw.random()
    return {
        "channel": channel,
        "group": group,
        "address": address if address and level < 0.85 else "",
        "profile": profile["customer_id"] if not address or level < 0.7 or level >= 0.85 else "",
        "status": "subscribed" if yes else "unsubscribed",
        "occurred_at": f"{moment(draw, since).isoformat()}Z",
        "reason": "" if yes else one_of(draw, REASONS),
    }


def report(draw: Random, profile: Row, address: str) -> Row:
    """What the mail system reported of an address: it bounced, was dropped, or complained of spam."""
    kind, reason = weighted(
        draw, ((70, "bounced", "550 5.1.1 no such mailbox"), (10, "dropped", ""), (20, "spam", "complaint"))
    )[1:]
    return {
        "channel": "email",
        "address": address,
        "status": "unsubscribed",
        "occurred_at": f"{moment(draw, profile['first_purchase']).isoformat()}Z",
        "type": kind,
        "reason": reason,
    }


def make_sends(profiles: Iterable[Row]) -> Iterator[Row]:
    """The messages of the last six weeks before as-of; the store wrote to its good customers too often."""
    for profile in profiles:
        draw = Random(f"sends {profile['customer_id']}")
        if not usable_email(profile["email"]):
            continue
        for _ in range(whole(draw, 0, 2) + (whole(draw, 0, 3) if profile["purchases"] > 5 else 0)):
            sent_at = END - timedelta(seconds=whole(draw, 1, 42 * 86_400))
            yield {
                "customer_id": profile["customer_id"],
                "channel": "email",
                "campaign": one_of(draw, ("new_releases_friday", "summer_sale", "satisfaction_survey")),
                "sent_at": sent_at,
            }


def usable_email(email: str | None) -> str | None:
    """The address as another system would have exported it, or None where nothing could be sent to it."""
    address = (email or "").strip()
    return address if address.count("@") == 1 and not address.startswith("@") else None


def usable_phone(phone: str | None) -> str | None:
    return phone if (phone or "").startswith(("+", "00")) else None


def moment(draw: Random, since: date) -> datetime:
    """A second between the day after ``since`` and the end of the data."""
    start = datetime.combine(min(since + timedelta(1), date(1998, 6, 30)), time())
    return start + timedelta(seconds=whole(draw, 0, int((END - start).total_seconds()) - 1))


def whole(draw: Random, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both ends in."""
    return low + int(draw.random() * (high - low + 1))


def one_of(draw: Random, items: Sequence[T]) -> T:
    return items[whole(draw, 0, len(items) - 1)]


def weighted(draw: Random, rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """A row, drawn by the weight it starts with."""
    left = draw.random() * sum(row[0] for row in rows)
    for row in rows:
        left -= row[0]
        if left < 0:
            return row
    return rows[-1]


def write_parquet(file: Path, columns: dict[str, str], rows: Iterable[Row]) -> None:
    """Write rows with exactly these columns and DuckDB types, by way of JSON lines."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as lines:
        for row in rows:
            lines.write(json.dumps({name: row[name] for name in columns}, default=str) + "\n")
        lines.flush()
        table = duckdb.read_json(lines.name, columns=columns, format="newline_delimited")
        table.write_parquet(str(file), compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
