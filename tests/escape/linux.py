"""System calls that Python 3.11 does not have."""
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
AT_FDCWD, OPEN_TREE_CLONE = -100, 1
KEYCTL_JOIN_SESSION, KEYCTL_SETPERM, KEYCTL_LINK, KEYCTL_UNLINK, KEYCTL_SEARCH, KEYCTL_READ = 1, 5, 8, 9, 10, 11
KEYCTL_SET_TIMEOUT = 15
SESSION_KEYRING, USER_KEYRING = -3, -4
SYS = {"add_key": 248, "keyctl": 250, "ioprio_get": 252, "mq_timedreceive": 243, "io_uring_setup": 425,
       "io_uring_register": 427, "open_tree": 428, "name_to_handle_at": 303}  # of x86_64
if os.uname().machine == "aarch64":
    SYS = {"add_key": 217, "keyctl": 219, "ioprio_get": 31, "mq_timedreceive": 183, "io_uring_setup": 425,
           "io_uring_register": 427, "open_tree": 428, "name_to_handle_at": 264}


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def call(name, *arguments):
    words = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a
             for a in arguments]
    return check(libc.syscall(SYS[name], *words), name)


def unshare(flags):
    check(libc.unshare(flags), "unshare")


def setns(fd, kind):
    check(libc.setns(fd, kind), "setns")


def prctl(option, argument):
    check(libc.prctl(option, argument, 0, 0, 0), "prctl")


def mount(source, target, kind=None, flags=0, data=None):
    encode = lambda text: text.encode() if text is not None else None
    check(libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)),
          f"mount {target}")


def open_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class inside:
    """with inside(fd): the main thread is in that network namespace."""

    def __init__(self, fd):
        self.fd = fd

    def __enter__(self):
        self.back = open_namespace()
        setns(self.fd, CLONE_NEWNET)

    def __exit__(self, *_):
        setns(self.back, CLONE_NEWNET)
        os.close(self.back)


def as_user(uid, work):
    """Runs work() in a child that is this user; its result is a number (what keys and handles are)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.write(write, str(int(work())).encode())
        except OSError as error:
            os.write(write, f"error {error}".encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as file:
        text = file.read()
    if text.startswith("error"):
        raise OSError(text)
    return int(text)
