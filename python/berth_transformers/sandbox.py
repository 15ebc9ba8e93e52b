"""What the process gives up at LOAD: every file but the one model's and the interpreter's own (Landlock), and memory
beyond what it was promised (RLIMIT_DATA).

berth-worker --launch confined the process before Python began; layers of Landlock only ever add up, so an interpreter
that waits for a model can read a little more and narrow itself. A layer holds for the thread that enters it and for
those it starts later: LOAD is heard by the only thread, before the compute thread and torch's exist.
"""
import contextlib
import ctypes
import os
import resource
import struct
import sys

from .jobs import Refused

MEMORY_SLACK = 256 << 20  # above what was promised: stacks, the allocators' spare, code compiled at run time
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the system calls, the same on every machine
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_NO_NEW_PRIVS = 38  # of prctl
_SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/dev/urandom", "/dev/null",
           "/proc/cpuinfo", "/proc/meminfo", "/proc/self/statm")
_OF_ACCELERATORS = ("/dev", "/proc", "/sys", "/usr", "/etc", "/opt")  # their drivers look in many places


def _syscall(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    r = libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    if r < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return r


def abi():
    """The version of Landlock that the kernel has; 0 = none."""
    try:
        return _syscall(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def interpreter_paths():
    """What Python, its packages and their libraries are read from."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    packages = {p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")}
    return {sys.prefix, sys.base_prefix, sys.exec_prefix, package, *packages}


def narrow(root, device="cpu"):
    """From now on this thread, and those that it starts, read nothing but root and what the interpreter needs. Refused
    where the kernel cannot."""
    paths = [root, *sorted(interpreter_paths()), *_SYSTEM, *(_OF_ACCELERATORS if device != "cpu" else ())]
    try:
        rules = _syscall(_CREATE, ctypes.create_string_buffer(struct.pack("<Q", _EXECUTE | _READ_FILE | _READ_DIR), 8),
                         8, 0)
    except OSError as e:
        raise Refused("unsupported_option", f"the sandbox cannot be narrowed to the model ({e.strerror}): this kernel "
                      "has no Landlock; allow a weaker sandbox (sandbox: degraded) to go on without") from e
    try:
        for path in paths:
            _allow(rules, path)
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        _syscall(_RESTRICT, rules, 0)
    except OSError as e:
        raise Refused("unsupported_option", f"the sandbox cannot be narrowed to the model: {e.strerror}") from e
    finally:
        os.close(rules)


def _allow(rules, path):
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
        _syscall(_ADD, rules, _BENEATH, ctypes.create_string_buffer(struct.pack("<Qi", rights, fd), 12), 0)
    finally:
        os.close(fd)


class Memory:
    """How much memory the process uses. Opened before paths are closed."""

    def __init__(self):
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def _pages(self, column):
        if self._fd < 0:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # the most so far: the nearest there is
        return int(os.pread(self._fd, 256, 0).split()[column]) * resource.getpagesize()

    def resident(self):
        return self._pages(1)

    def data(self):
        """What RLIMIT_DATA counts."""
        return self._pages(5)


def limit_memory(used, promised):
    """RLIMIT_DATA: an allocation beyond used + promised + slack fails. promised 0: no limit. The hard limit stays."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = used + promised + MEMORY_SLACK if promised else hard
    if hard != resource.RLIM_INFINITY and (limit == resource.RLIM_INFINITY or limit > hard):
        limit = hard
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
