#!/usr/bin/env python3
"""Adds up one Meson test log: `count_tests.py LOG NAME`.

Prints a line for each test that did not pass, with why, and last `PASSED FAILED SKIPPED`. A log that
is missing or empty is a failure: a suite that ran nothing has shown nothing.
"""
import json
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}


def reason(stdout):
    """The line of a skipped test that says why."""
    for line in stdout.splitlines():
        if re.match(r"(?i)\W*skip", line):
            return line.strip()
    return "no reason given"


def main():
    path, name = sys.argv[1:]
    passed = failed = skipped = 0
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            rows = [json.loads(line) for line in log if line.strip()]
    except OSError:
        rows = []
    for row in rows:
        if row["result"] in GOOD:
            passed += 1
        elif row["result"] == "SKIP":
            skipped += 1
            print(f"SKIPPED: {row['name']}: {reason(row.get('stdout') or '')}")
        else:
            failed += 1
            print(f"FAILED: {row['name']} ({row['result']})")
    if not rows:
        failed += 1
        print(f"FAILED: {name}: no test ran")
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
