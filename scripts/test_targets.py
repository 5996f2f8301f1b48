#!/usr/bin/env python3
"""What the tests of some suites need built: `test_targets.py BUILD SUITE ...` prints Ninja's targets.

So a build that is there for one suite does not compile the others' programs. No target is an error:
a suite that is not there would show nothing.
"""
import json
import os
import subprocess
import sys


def introspect(build, what):
    out = subprocess.run(["meson", "introspect", what, build], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def main():
    build, *suites = sys.argv[1:]
    needed = set()
    for test in introspect(build, "--tests"):
        if any(s.rpartition(":")[2] in suites for s in test["suite"]):
            needed.update(test["depends"])
    targets = sorted(os.path.relpath(t["filename"][0], build) for t in introspect(build, "--targets")
                     if t["id"] in needed)
    if not targets:
        sys.exit(f"test_targets: {build} has no tests of {' '.join(suites)}")
    print("\n".join(targets))


if __name__ == "__main__":
    main()
