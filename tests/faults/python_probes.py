"""What a Transformers server that a model has taken over would try. Runs in the server's place, behind descriptor 3:
reads one line of JSON (after a HELLO, where there is one), tries everything, answers with one line of JSON.

    {"parent": pid, "model": folder, "file": in it, "other": a file beside it, "narrow": bool}
    {"results": [[name, "denied" | "let through", why]], "state": {...}}

Harmless where it is let through: files that are not there, signal 0, descriptors that are none.
"""
import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import threading

DENIALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
NOWHERE = "/tmp/no/such/place"
EXEC_FD = 1024  # the launcher's descriptor for the interpreter, where the hard limit allows so many
# Below 424 each architecture has numbers of its own.
CALLS = {
    "x86_64": {"ptrace": 101, "personality": 135, "kcmp": 312, "seccomp": 317, "bpf": 321, "userfaultfd": 323,
               "perf_event_open": 298, "add_key": 248, "request_key": 249, "keyctl": 250, "execveat": 322,
               "clone": 56, "tgkill": 234, "prlimit64": 302, "init_module": 175, "utimensat": 280},
    "aarch64": {"ptrace": 117, "personality": 92, "kcmp": 272, "seccomp": 277, "bpf": 280, "userfaultfd": 282,
                "perf_event_open": 241, "add_key": 217, "request_key": 218, "keyctl": 219, "execveat": 281,
                "clone": 220, "tgkill": 131, "prlimit64": 261, "init_module": 105, "utimensat": 88},
}[platform.machine()] | {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "pidfd_open": 434, "clone3": 435, "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440,
    "memfd_secret": 447,
}
CONFINED = "BERTH_SANDBOX" in os.environ
libc = ctypes.CDLL(None, use_errno=True)
PROBES = []


def probe(name):
    """Registers a function of where(): it returns when it was let through, raises when not."""
    def register(function):
        PROBES.append((name, function))
        return function
    return register


def checked(r):
    if r < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return r


def call(name, *args):
    """A system call as it is."""
    return checked(libc.syscall(ctypes.c_long(CALLS[name]), *(ctypes.c_long(a) if isinstance(a, int) else a
                                                             for a in args)))


def of_libc(name, *args):
    return checked(getattr(libc, name)(*args))


def close_after(fd):
    os.close(fd)


def words(*some):
    """A NULL-terminated array of strings for exec."""
    return (ctypes.c_char_p * (len(some) + 1))(*some, None)


def plain(name, function):
    PROBES.append((name, lambda w: function()))


# ---- files elsewhere ----

for path in ("/etc/passwd", "/etc/hostname", "/root", "/", "/tmp", "/proc/1/environ", "/proc/self/environ",
             "/proc/self/maps", "/proc/self/status", "/proc/net/tcp", "/proc/sys/kernel/hostname",
             "/proc/self/root/etc/passwd"):
    plain(f"open {path}", lambda path=path: close_after(os.open(path, os.O_RDONLY)))
plain("list /", lambda: os.listdir("/"))
plain("list /proc", lambda: os.listdir("/proc"))
plain("write its own memory", lambda: close_after(os.open("/proc/self/mem", os.O_RDWR)))
plain("openat2", lambda: call("openat2", -100, b"/etc/passwd", ctypes.create_string_buffer(24), 24))


@probe("open another model")
def _(w):
    close_after(os.open(w["other"], os.O_RDONLY))


@probe("open another model by ..")
def _(w):
    close_after(os.open(os.path.join(w["model"], "..", *w["other"].split("/")[-2:]), os.O_RDONLY))


@probe("open another model from a descriptor of this one's folder")
def _(w):
    fd = os.open(w["model"], os.O_PATH)
    close_after(os.open(os.path.join("..", *w["other"].split("/")[-2:]), os.O_RDONLY, dir_fd=fd))


@probe("open a path descriptor again")
def _(w):
    fd = os.open(w["other"], os.O_PATH)
    close_after(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))


@probe("the parent's environment")
def _(w):
    close_after(os.open(f"/proc/{w['parent']}/environ", os.O_RDONLY))


@probe("the parent's descriptors")
def _(w):
    os.listdir(f"/proc/{w['parent']}/fd")


# ---- changing files ----

@probe("write to the model")
def _(w):
    close_after(os.open(w["file"], os.O_WRONLY))


@probe("cut the model")
def _(w):
    os.truncate(w["file"], os.stat(w["file"]).st_size)


@probe("create beside the model")
def _(w):
    close_after(os.open(os.path.join(w["model"], "new"), os.O_CREAT | os.O_WRONLY))


@probe("the model's times")
def _(w):
    os.utime(w["file"])


@probe("the model's times by descriptor")
def _(w):
    fd = os.open(w["file"], os.O_RDONLY)
    try:
        call("utimensat", fd, None, None, 0)
    finally:
        os.close(fd)


@probe("the model's mode")
def _(w):
    os.chmod(w["file"], 0o644)


@probe("the model's owner")
def _(w):
    os.chown(w["file"], -1, -1)


@probe("an attribute of the model")
def _(w):
    os.removexattr(w["file"], "user.none")


@probe("map the model to write")
def _(w):
    fd = os.open(w["file"], os.O_RDWR)
    try:
        mmap.mmap(fd, 1, mmap.MAP_SHARED, mmap.PROT_WRITE).close()
    finally:
        os.close(fd)


plain("create in /tmp", lambda: close_after(os.open("/tmp", os.O_TMPFILE | os.O_RDWR)))
plain("create in /dev/shm", lambda: close_after(os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)))
plain("mkdir", lambda: os.mkdir(NOWHERE))
plain("rmdir", lambda: os.rmdir(NOWHERE))
plain("unlink", lambda: os.unlink(NOWHERE))
plain("rename", lambda: os.rename(NOWHERE, NOWHERE + "2"))
plain("link", lambda: os.link(NOWHERE, NOWHERE + "2"))
plain("symlink", lambda: os.symlink("x", NOWHERE))
plain("mknod", lambda: os.mknod(NOWHERE))
plain("mkfifo", lambda: os.mkfifo(NOWHERE))
plain("chroot", lambda: os.chroot(NOWHERE))
plain("chdir", lambda: os.chdir("/"))

# ---- network ----

plain("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close())
plain("tcp over IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close())
plain("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close())
plain("a unix socket", lambda: socket.socket(socket.AF_UNIX).close())
plain("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
plain("a socketpair", lambda: [s.close() for s in socket.socketpair()])


@probe("connect")
def _(w):
    w["channel"].connect("/no/such/socket")


@probe("bind")
def _(w):
    w["channel"].bind("\0no-such-name")


@probe("listen")
def _(w):
    w["channel"].listen()


@probe("accept")
def _(w):
    w["channel"].accept()


@probe("send to an address")
def _(w):
    w["channel"].sendto(b"", "/no/such/socket")


@probe("a filter on its socket")
def _(w):
    w["channel"].setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 0, 0))  # SO_ATTACH_FILTER


# ---- processes ----

@probe("fork")
def _(w):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@probe("posix_spawn")
def _(w):
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


@probe("clone a process")
def _(w):
    pid = call("clone", int(signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


plain("vfork and exec", lambda: subprocess.run(["/bin/true"], close_fds=False))
plain("clone3", lambda: call("clone3", ctypes.create_string_buffer(88), 88))
plain("execve", lambda: os.execve(NOWHERE, ["x"], {}))
plain("execve by descriptor", lambda: call("execveat", -1, b"", words(), words(), 0x1000))
plain("another program, by the launcher's number",  # the filter takes it for the launcher's, Landlock does not
      lambda: call("execveat", EXEC_FD, b"/bin/true" if CONFINED else NOWHERE.encode(), words(), words(), 0x1000))


@probe("execute memory as a program")
def _(w):
    fd = os.memfd_create("probe")
    os.write(fd, b"not a program")
    try:
        call("execveat", fd, b"", words(), words(), 0x1000)
    finally:
        os.close(fd)


@probe("the interpreter again, by the launcher's number")
def _(w):
    if not w["narrow"]:
        raise OSError(errno.EPERM, "not tried: the server gives it up at LOAD; until then it would be the same again")
    call("execveat", EXEC_FD, os.path.realpath("/proc/self/exe").encode(), words(b"python", b"-c", b"pass"), words(),
         0x1000)


# ---- other processes ----

@probe("signal the parent")
def _(w):
    os.kill(w["parent"], 0)


@probe("kill everybody")
def _(w):
    os.kill(-1, 0)


@probe("tgkill the parent")
def _(w):
    call("tgkill", w["parent"], w["parent"], 0)


@probe("pidfd of the parent")
def _(w):
    close_after(call("pidfd_open", w["parent"], 0))


@probe("trace the parent")
def _(w):
    call("ptrace", 0x4206, w["parent"], 0, 0xffffff)  # SEIZE with options that there are not


@probe("read the parent's memory")
def _(w):
    of_libc("process_vm_readv", w["parent"], None, 0, None, 0, 0)


@probe("write the parent's memory")
def _(w):
    of_libc("process_vm_writev", w["parent"], None, 0, None, 0, 0)


@probe("the parent's limits")
def _(w):
    call("prlimit64", w["parent"], resource.RLIMIT_NOFILE, None, ctypes.create_string_buffer(16))


@probe("the parent's cores")
def _(w):
    os.sched_setaffinity(w["parent"], os.sched_getaffinity(w["parent"]))


@probe("the parent's priority")
def _(w):
    os.setpriority(os.PRIO_PROCESS, w["parent"], os.getpriority(os.PRIO_PROCESS, w["parent"]))


@probe("SIGIO for the parent")
def _(w):
    import fcntl
    fcntl.fcntl(3, fcntl.F_SETOWN, w["parent"])


plain("pidfd_getfd", lambda: call("pidfd_getfd", -1, 0, 0))
plain("pidfd_send_signal", lambda: call("pidfd_send_signal", -1, 0, None, 0))
plain("process_madvise", lambda: call("process_madvise", -1, None, 0, 0, 0))
plain("be traced", lambda: call("ptrace", 0xffff, 0, 0, 0))
plain("kcmp", lambda: call("kcmp", os.getpid(), os.getpid(), 0, 0, 0))
plain("a new session", lambda: os.setpgid(0, 0))

# ---- its own fences ----

plain("raise its limits", lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 40, 1 << 40)))
plain("forget the parent's death", lambda: of_libc("prctl", 1, 0, 0, 0, 0))
plain("be dumpable", lambda: of_libc("prctl", 4, 1, 0, 0, 0))
plain("another filter", lambda: call("seccomp", 2, 0, ctypes.create_string_buffer(4)))
plain("personality", lambda: call("personality", 0xffffffff))
plain("setuid", lambda: os.setuid(os.getuid()))
plain("setgroups", lambda: os.setgroups(os.getgroups()))
plain("capset", lambda: of_libc("capset", None, None))

# ---- corners of the kernel ----

plain("mount", lambda: of_libc("mount", b"none", NOWHERE.encode(), b"tmpfs", 0, None))
plain("umount", lambda: of_libc("umount2", NOWHERE.encode(), 0))
plain("fsopen", lambda: call("fsopen", b"no-such-fs", 0))
plain("open_tree", lambda: call("open_tree", -1, b"nothing", 0))
plain("move_mount", lambda: call("move_mount", -1, b"a", -1, b"b", 0))
plain("unshare", lambda: of_libc("unshare", 1))
plain("setns", lambda: of_libc("setns", -1, 0))
plain("bpf", lambda: call("bpf", 9999, None, 0))
plain("io_uring_setup", lambda: call("io_uring_setup", 0, None))
plain("io_uring_enter", lambda: call("io_uring_enter", -1, 0, 0, 0, None, 0))
plain("userfaultfd", lambda: call("userfaultfd", 0xffff))
plain("perf_event_open", lambda: call("perf_event_open", None, 0, -1, -1, 0))
plain("keyctl", lambda: call("keyctl", 9999, 0, 0, 0, 0))
plain("add_key", lambda: call("add_key", None, None, None, 0, 0))
plain("request_key", lambda: call("request_key", None, None, None, 0))
plain("init_module", lambda: call("init_module", None, 0, None))
plain("memfd_secret", lambda: close_after(call("memfd_secret", 0)))
plain("inotify", lambda: close_after(of_libc("inotify_init1", 0)))
plain("fanotify", lambda: of_libc("fanotify_init", 0xffff, 0))
plain("shmget", lambda: of_libc("shmget", 1, 4096, 0))
plain("msgget", lambda: of_libc("msgget", 1, 0))
plain("a message queue", lambda: of_libc("mq_open", b"/no-such-queue", 0))
plain("type into the terminal", lambda: of_libc("ioctl", 0, 0x5412, b"x"))
plain("a timer with a signal", lambda: of_libc("timer_create", -1000, None, ctypes.create_string_buffer(8)))
plain("set the clock", lambda: of_libc("clock_settime", -1000, ctypes.create_string_buffer(16)))


@probe("a thread of its own reads elsewhere")
def _(w):
    caught = []

    def look():
        try:
            open("/etc/passwd").close()
        except OSError as e:
            caught.append(e)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


@probe("undo Landlock by a layer that allows everything")
def _(w):
    access = 0xf | 1 << 14
    rules = checked(libc.syscall(444, struct.pack("<Q", access), ctypes.c_size_t(8), 0))
    root = os.open("/", os.O_PATH)
    checked(libc.syscall(445, rules, 1, struct.pack("<Qi", access, root), 0))
    checked(libc.prctl(38, 1, 0, 0, 0))
    checked(libc.syscall(446, rules, 0))
    close_after(os.open("/etc/passwd", os.O_RDONLY))


# ---- trying them all ----

def attempt(function, where):
    """Whether the call got past the sandbox: it worked, or failed for a reason of its own."""
    try:
        function(where)
    except (OSError, ValueError) as e:  # ValueError: what resource makes of EPERM
        denied = isinstance(e, ValueError) or e.errno in DENIALS
        return ["denied" if denied else "let through", str(e)]
    return ["let through", "it worked"]


def descriptors():
    """The numbers that are open, found without /proc."""
    def is_open(fd):
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True
    return [fd for fd in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if is_open(fd)]


def state(channel):
    return {"environment": dict(os.environ), "descriptors": [fd for fd in descriptors() if fd != channel.fileno()],
            "files": resource.getrlimit(resource.RLIMIT_NOFILE), "data": resource.getrlimit(resource.RLIMIT_DATA),
            "core": resource.getrlimit(resource.RLIMIT_CORE), "cwd": os.getcwd()}


def main():
    channel = socket.socket(fileno=3)
    stream = channel.makefile("rb")
    if CONFINED:
        length, = struct.unpack("<I12x", stream.read(16))
        stream.read(length)
    where = json.loads(stream.readline()) | {"channel": channel}
    before = state(channel)
    if where["narrow"]:
        from berth_transformers import sandbox
        sandbox.narrow(where["model"])
    assert open(where["file"], "rb").read()  # what it is there for
    print("a word on standard output")
    results = [[name, *attempt(function, where)] for name, function in PROBES]
    channel.sendall(json.dumps({"results": results, "state": before}).encode() + b"\n")


if __name__ == "__main__":
    main()
