"""A file of invented books, each with a valid ISBN and one copy, and plausible lengths of text."""

import csv
import random
from pathlib import Path

from stdnum import ean

HEADER = (
    *("title", "author", "isbn", "source_id", "cover", "daily_fee", "publisher"),
    *("published_year", "language", "subjects", "call_number", "copies"),
)
WORDS = (
    *("history", "of", "the", "old", "river", "and", "its", "people", "a", "study", "in", "green"),
    *("iron", "letters", "from", "northern", "towns", "garden", "winter", "machine", "atlas"),
    *("shadow", "bread", "mountain", "silent", "house", "dictionary", "journey", "salt"),
    *("księga", "lato", "morze", "źródło", "świat", "König", "Straße", "été", "cœur", "noche"),
)
NAMES = "Nowak Kowalska Lem Austen Dickens Schmidt Dubois García Rossi Wiśniewski Okafor Tanaka"


def write(path: Path, *, rows: int, seed: int = 1) -> None:
    choose = random.Random(seed)
    names = NAMES.split()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            bare = f"978{choose.randrange(10**4):04d}{number % 10**5:05d}"
            title = " ".join(choose.choices(WORDS, k=choose.randint(2, 9))).capitalize()
            author = f"{choose.choice(names)}, {choose.choice(WORDS).title()}"
            writer.writerow(
                (
                    f"{title} {number}",
                    author,
                    bare + ean.calc_check_digit(bare),
                    f"rec-{number}",
                    choose.choice(("HARD", "SOFT")),
                    choose.choice(("0", "0.10", "1,50")),
                    f"{choose.choice(WORDS).title()} Press",
                    choose.randint(1900, 2025),
                    choose.choice(("en", "pl", "de", "fr")),
                    "; ".join(choose.choices(WORDS, k=6)),
                    f"{choose.choice('ABCDEFG')}{choose.randrange(1000)}.{choose.randrange(99)}",
                    1,
                )
            )
