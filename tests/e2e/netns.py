"""Network namespaces from Python: run programs in them, and make sockets in them."""
import contextlib
import ctypes
import os
import signal
import subprocess

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def inside(name):
    """The calling thread is in the namespace; sockets made here stay there afterwards."""
    home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
    try:
        _setns(f'/run/netns/{name}')
        yield
    finally:
        _check(_libc.setns(home, _CLONE_NEWNET), 'setns')
        os.close(home)


def _setns(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        _check(_libc.setns(fd, _CLONE_NEWNET), f'setns {path}')
    finally:
        os.close(fd)


def _check(rc, what):
    if rc != 0:
        e = ctypes.get_errno()
        raise OSError(e, f'{what}: {os.strerror(e)}')


def _die_with_parent():
    # Whatever ends the test, what it started ends too.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def popen(name, argv, **kw):
    """Starts a program in the namespace (None: in ours). It ends when this process ends."""
    full = list(argv) if name is None else ['ip', 'netns', 'exec', name] + list(argv)
    return subprocess.Popen([str(a) for a in full], preexec_fn=_die_with_parent, **kw)


def run(name, argv, timeout=60, check=True, text=True, **kw):
    """Runs a program to its end; stdout and stderr are in the result."""
    p = popen(name, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=text, **kw)
    try:
        out, err = p.communicate(timeout=timeout)
    except BaseException:
        p.kill()
        p.communicate()
        raise
    if check and p.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, argv))}: exit {p.returncode}: {err or out}')
    return subprocess.CompletedProcess(argv, p.returncode, out, err)


def stop(p, seconds=5.0):
    """Ends a process that we started; returns its exit code."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    return p.returncode
