#!/usr/bin/python3
"""Runs a checker over the configurations here and in cfg/.

    run.py CHECKER [ARGUMENT ...] [--update]

CHECKER gets the file's name as its last argument, exits 0 or 1, and writes the errors to standard
error. good/*.cfg and cfg/*.cfg must pass without a word; bad/NAME.cfg must fail with exactly the
lines of bad/NAME.expect. --update writes these anew: read them before they are committed.
"""
import glob
import os
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "..", "..", "cfg")
WRAPPER = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))  # an emulator, in a cross build


def check(command, folder, name):
    done = subprocess.run(WRAPPER + command + [name], cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    return done.returncode, done.stderr.decode("utf-8", "replace")


def names(folder):
    return sorted(os.path.basename(p) for p in glob.glob(os.path.join(folder, "*.cfg")))


def differences(expected, got):
    out = ["  missing: " + line for line in expected if line not in got]
    out += ["  extra:   " + line for line in got if line not in expected]
    return out or ["  the order of the lines differs"]


def main():
    update = "--update" in sys.argv
    command = [a for a in sys.argv[1:] if a != "--update"]
    if not command:
        sys.exit(__doc__)
    command[0] = os.path.abspath(command[0])
    bad_folder = os.path.join(HERE, "bad")
    ran = failed = 0
    for folder in (os.path.join(HERE, "good"), SAMPLES):
        for name in names(folder):
            ran += 1
            code, text = check(command, folder, name)
            if code != 0 or text:
                failed += 1
                print(f"{name}: exit {code}, should be accepted:\n{text}")
    for name in names(bad_folder):
        ran += 1
        code, text = check(command, bad_folder, name)
        expect = os.path.join(bad_folder, name[:-4] + ".expect")
        if update:
            with open(expect, "w", encoding="utf-8") as f:
                f.write(text)
        with open(expect, encoding="utf-8") as f:
            wanted = f.read().splitlines()
        got = text.splitlines()
        if code != 1 or got != wanted:
            failed += 1
            print(f"{name}: exit {code}, should be 1 with the lines of its .expect")
            print("\n".join(differences(wanted, got)))
    print(f"{ran - failed} configurations as they should be, {failed} not")
    sys.exit(1 if failed or not ran else 0)


main()
