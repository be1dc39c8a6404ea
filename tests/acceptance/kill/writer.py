"""A process that answers like a page server: threads append choices, and print each once it is acknowledged."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from random import Random
from threading import Thread

from maysend.events import Fact
from maysend.ledger import Ledger, open_ledger


def answer(ledger: Ledger, random: Random) -> None:
    while True:
        person = random.randrange(200)
        fact = Fact(
            channel="email",
            group=random.choice(["news", "offers", None]),
            subscribed=random.random() < 0.4,
            address=f"p{person}@x.org",
            profile=random.choice([str(person), None]),
            source="one_click",
        )
        for event in ledger.append([fact]):
            if event:
                os.write(1, f"{json.dumps(event.as_json())}\n".encode())


if __name__ == "__main__":
    url, threads, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    ledger = open_ledger(url, Path())
    for number in range(threads):
        Thread(target=answer, args=(ledger, Random(f"{seed} {number}"))).start()
