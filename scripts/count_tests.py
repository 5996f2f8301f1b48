#!/usr/bin/env python3
"""Adds up one Meson test log: `count_tests.py LOG NAME`.

Prints for each test that did not pass a line and the beginning of what it said, and last `PASSED FAILED SKIPPED`. A log that is missing or empty is a failure: a suite that ran
nothing has shown nothing.
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


def why(stderr, most=30):
    """What a failed test said: the end-to-end tests name each failed case and its reason there."""
    return ["    " + line[:300] for line in stderr.splitlines() if line.strip()][:most]


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
            for line in why(row.get("stderr") or ""):
                print(line)
    if not rows:
        failed += 1
        print(f"FAILED: {name}: no test ran")
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
