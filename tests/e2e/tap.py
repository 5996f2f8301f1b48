"""Runs the test cases of one file and reports them in TAP, one line each.

A file has functions marked @case, each taking the lab, and ends with main(make_lab). The lab is
shared by the cases of a file; what must hold afterwards (lab.check_end) is a case of its own.
"""
import os
import signal
import sys
import time
import traceback

QUICK = os.environ.get('TG_TEST_MODE') == 'quick'
CASE_SECONDS = 120

_cases = []


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


class TimeUp(Exception):
    pass


class Disturbed(AssertionError):
    """What was judged depends on a CPU that the machine demonstrably gave to others: the one
    failure after which a case may begin anew (main's tries)."""


def case(fn=None, *, seconds=CASE_SECONDS, long=False):
    """Marks a test case. seconds: its bound; long: not run in quick mode."""
    def mark(f):
        _cases.append((f, seconds, long))
        return f
    return mark(fn) if fn else mark


def equal(got, want, what='value'):
    if got != want:
        raise AssertionError(f'{what}: got {_short(got)}, wanted {_short(want)}')


def check(cond, text):
    if not cond:
        raise AssertionError(text)


def _short(x):
    s = repr(x)
    return s if len(s) < 600 else s[:600] + f'... ({len(s)})'


def wait_for(fn, what, seconds=10.0, step=0.02):
    """Polls fn until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds:g} s: {what() if callable(what) else what}')
        time.sleep(step)


def note(text):
    for line in str(text).splitlines():
        print('#', line, flush=True)


def _on_term(signo, _frame):
    # A second signal must not cut the cleaning up short.
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    raise SystemExit(128 + signo)


def catch_signals():
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, _on_term)


def _alarm(_signo, _frame):
    raise TimeUp()


def _try(fn, seconds, lab):
    """(None or why the case failed, whether it may begin anew). Raises Skip."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(seconds)
    try:
        fn(lab)
    except TimeUp:
        note(traceback.format_exc())
        return f'not finished within {seconds} s', False
    except Skip:
        raise
    except Exception as e:  # pylint: disable=broad-except
        if not isinstance(e, AssertionError):
            note(traceback.format_exc())
        else:
            for f in traceback.extract_tb(e.__traceback__):
                note(f'{os.path.basename(f.filename)}:{f.lineno}: {f.line}')
        return f'{type(e).__name__}: {e}', isinstance(e, Disturbed)
    finally:
        signal.alarm(0)
    return None, False


def _run_one(n, name, fn, seconds, lab, tries=1):
    t0 = time.monotonic()
    for left in reversed(range(tries)):
        try:
            text, disturbed = _try(fn, seconds, lab)
        except Skip as e:
            print(f'ok {n} - {name} # SKIP {e}', flush=True)
            return True
        if not disturbed or not left or lab.is_dead():
            break
        note(f'{name}: {text}; again, {left} more')
    took = time.monotonic() - t0
    if disturbed:
        print(f'ok {n} - {name} # SKIP not judged, the machine was busy: {text}', flush=True)
        return True
    if text is None:
        print(f'ok {n} - {name} ({took:.1f} s)', flush=True)
        return True
    note(text)
    print(f'not ok {n} - {name} ({took:.1f} s)', flush=True)
    print(f'{name}: {text}', file=sys.stderr, flush=True)  # all that `meson test --print-errorlogs` shows
    return False


def main(make_lab, tries=1):
    """make_lab(): a context manager that yields the lab. Exits the process. tries: how often a case that
    was Disturbed may run before it is reported as not judged; any other failure is final."""
    catch_signals()
    if os.geteuid() != 0:
        print('1..0 # SKIP network namespaces need root')
        sys.exit(0)
    only = sys.argv[1:]
    chosen = []
    for fn, seconds, long in _cases:
        name = fn.__name__.replace('_', '-')
        if only and not any(o in name for o in only):
            continue
        chosen.append((name, fn, seconds, long))
    print(f'1..{len(chosen) + 1}', flush=True)
    failed = n = 0
    try:
        with make_lab() as lab:
            for n, (name, fn, seconds, long) in enumerate(chosen, 1):
                if long and QUICK:
                    print(f'ok {n} - {name} # SKIP takes too long for --quick', flush=True)
                elif not _run_one(n, name, fn, seconds, lab, tries):
                    failed += 1
                    lab.explain()
                    if lab.is_dead():
                        print('Bail out! tidegate is not there any more', flush=True)
                        sys.exit(1)
            n = len(chosen) + 1
            end = 'afterwards-alive-balanced-and-empty'
            if not _run_one(n, end, lambda x: x.check_end(), CASE_SECONDS, lab):
                failed += 1
                lab.explain()
    except Skip as e:
        for n in range(1, len(chosen) + 2):
            print(f'ok {n} - {chosen[n - 1][0] if n <= len(chosen) else "end"} # SKIP {e}')
    except Exception:  # pylint: disable=broad-except
        note(traceback.format_exc())
        print(f'not ok {n + 1} - the lab itself')
        print('Bail out! the lab does not stand', flush=True)
        failed += 1
    sys.exit(1 if failed else 0)
