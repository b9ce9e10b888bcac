"""Puts many waiting cases into the database of a relay that stands still: crowd.py DATABASE COUNT

Each is a copy of one that waits, with a patient, a number, a priority and a moment of its own. Their deadlines are more
than a day ahead, so that their order does not change while it is looked at.
"""

import sqlite3
import sys
import time

AHEAD_MICROS = 30 * 3_600_000_000


def main() -> None:
    path, count = sys.argv[1], int(sys.argv[2])
    base = sqlite3.connect(path)
    base.row_factory = sqlite3.Row
    with base:
        case = dict(base.execute("SELECT * FROM cases WHERE stage = 'ready' AND order_id IS NULL ORDER BY id").fetchone())
        study = dict(base.execute("SELECT * FROM studies WHERE id = ?", (case["study_id"],)).fetchone())
        now = int(time.time() * 1_000_000)
        insert(base, "studies", study, (study_of(study, number) for number in range(1, count + 1)))
        insert(base, "cases", case, (case_of(case, number, now) for number in range(1, count + 1)))


def identifier(kind: int, number: int) -> str:
    return f"0190a5c0-{kind:04x}-7000-8000-{number:012x}"


def study_of(sample: dict, number: int) -> dict:
    return sample | {
        "id": identifier(1, number),
        "uid": f"2.25.99{number}",
        "patient_id": f"CROWD{number}",
        "patient_name": f"Crowd^{number}=众^{number}",
        "accession": f"C{number:07d}",
    }


def case_of(sample: dict, number: int, now: int) -> dict:
    priority = "stat" if number % 20 == 0 else "urgent" if number % 5 == 0 else "routine"
    opened = now - number * 60_000
    return sample | {
        "id": identifier(2, number),
        "number": f"CRD-{number:07d}",
        "study_id": identifier(1, number),
        "priority": priority,
        "opened_at": opened,
        "deadline": now + AHEAD_MICROS + number * 1_000_003 % 9_000_000_000,
        "fair": 10_000_000_000 + number * 7919 % 1_000_003,
        "version": 1,
    }


def insert(base: sqlite3.Connection, table: str, sample: dict, rows) -> None:
    names = list(sample)
    marks = ", ".join(f":{name}" for name in names)
    base.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


if __name__ == "__main__":
    main()
