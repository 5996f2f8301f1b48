#!/usr/bin/python3
"""Packet scripts of what Linux's TCP does, run against the kernel and against Tidegate alike.

    test_linux_tcp.py [NAME ...]      only those whose family or name contains one of these words
    TG_TARGETS=linux|tidegate         one of the two

A script that fails runs again, alone: a machine that stands still for a moment falsifies times.
"""
import concurrent.futures
import contextlib
import os
import queue
import sys

import linux_scripts_end
import linux_scripts_open
import linux_scripts_rcv
import linux_scripts_snd
import tcpscript
from lab import Lab
from tap import QUICK, catch_signals, note
from tcptarget import SLOTS, GateTarget, LinuxTarget, gate_config

FAMILIES = {'open': linux_scripts_open, 'rcv': linux_scripts_rcv, 'snd': linux_scripts_snd,
            'end': linux_scripts_end}
TARGETS = os.environ.get('TG_TARGETS', 'linux,tidegate').split(',')
AGAIN = 3
AT_ONCE = SLOTS

# Where Tidegate does not do what Linux does; why is in docs/tcp.md, "Differences from Linux".
DIFFERENT = {'rst_at_the_edge_of_sacked_data_closes', 'host_unreachable_while_connecting'}


def run_one(target, slot, fn, v6):
    make = target.listener if getattr(fn, 'dials', False) else target.peer
    return tcpscript.run(fn, lambda: make(slot, v6))


def run_all(targets, scripts):
    """{(script, v6, target): None or text}; several at once."""
    found, jobs = {}, []
    slots = {t.name: queue.Queue() for t in targets}
    for t in targets:
        for i in range(AT_ONCE):
            slots[t.name].put(i)

    def one(t, fn, v6):
        slot = slots[t.name].get()
        try:
            found[fn, v6, t] = run_one(t, slot, fn, v6)
        finally:
            slots[t.name].put(slot)
    with contextlib.ExitStack() as stack:
        pools = {t.name: stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(AT_ONCE)) for t in targets}
        for fn, v6 in scripts:
            for t in targets:
                jobs.append(pools[t.name].submit(one, t, fn, v6))
    for j in jobs:
        j.result()
    return found


def again(found):
    """Those that failed, alone."""
    for (fn, v6, t), why in list(found.items()):
        if t.name == 'tidegate' and fn.__name__ in DIFFERENT:
            continue
        for _ in range(AGAIN):
            if not why:
                break
            why = found[fn, v6, t] = run_one(t, 0, fn, v6)


def verdict(found, fn, v6, targets):
    """None or why this script is not as it should be."""
    text = []
    for t in targets:
        why = found[fn, v6, t]
        differs = t.name == 'tidegate' and fn.__name__ in DIFFERENT
        if differs and not why:
            text.append('tidegate does this now: it is no difference any more')
        elif why and not differs:
            text.append(f'{t.name}: {why}')
    return '\n'.join(text) or None


def chosen():
    words = [w.replace('-', '_') for w in sys.argv[1:]]
    return [(fn, v6) for family, m in FAMILIES.items() for fn in m.SCRIPTS for v6 in (False, True)
            if not words or any(w == family or w in fn.__name__ for w in words)]


def report(found, scripts, targets):
    failed = 0
    for n, (fn, v6) in enumerate(scripts, 1):
        why = verdict(found, fn, v6, targets)
        name = f'{fn.__name__.replace("_", "-")}-{"v6" if v6 else "v4"}'
        if why:
            failed += 1
            note(why)
        print(f'{"not " if why else ""}ok {n} - {name}', flush=True)
    return failed


def main():
    catch_signals()
    if os.geteuid() != 0:
        print('1..0 # SKIP network namespaces need root')
        return 0
    scripts = chosen()
    if QUICK:
        scripts = [s for s in scripts if not s[1]]
    print(f'1..{len(scripts) + 1}', flush=True)
    listeners, clusters = gate_config()
    failed = 0
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(nginx=False, allowed=None, extra_listeners=listeners,
                                      extra_clusters=clusters))
        targets = [make() for name, make in (('linux', LinuxTarget),
                                             ('tidegate', lambda: GateTarget(lab)))
                   if name in TARGETS]
        for t in targets:
            stack.callback(t.close)
        found = run_all(targets, scripts)
        again(found)
        failed += report(found, scripts, targets)
        try:
            lab.check_end()
        except AssertionError as e:
            failed += 1
            note(e)
            lab.explain()
            print('not ', end='')
        print(f'ok {len(scripts) + 1} - afterwards-alive-balanced-and-empty', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
