"""Words of `needs`: processes outside, namespaces, IPC and keys."""
import ctypes
import os
import re
import secrets
import socket
import struct

import linux
from providers import need, start_victim


@need("victim")
def victim(self, launch, probe, argument):
    made = start_victim(self, launch, probe, dict(probe.words))
    words = dict(probe.words)
    if "leader" in words:
        launch.process_group = made.pid
    if "check" in words:
        look = SETTINGS[words["check"]]
        if words["check"] == "affinity" and len(os.sched_getaffinity(0)) == 1:
            launch.cannot[probe.id] = "there is one processor"
        before = look(made.pid)
        ask = launch.checks[probe.id]
        launch.checks[probe.id] = lambda: [look(made.pid) != before, ask()][0]


SETTINGS = {
    "nofile": lambda pid: re.search("Max open files.*", open(f"/proc/{pid}/limits").read())[0],
    "nice": lambda pid: os.getpriority(os.PRIO_PROCESS, pid),
    "affinity": os.sched_getaffinity,
    "scheduler": os.sched_getscheduler,
    "io": lambda pid: linux.call("ioprio_get", 1, pid),
}


@need("userns", "leader", "check")
def option(self, launch, probe, argument):
    """Of "victim"."""


@need("launcher-dies")
def launcher_dies(self, launch, probe, argument):
    launch.checks[probe.id] = lambda: launch.status == -9


@need("netns")
def named_network(self, launch, probe, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()
    linux.mount(f"/proc/self/fd/{self.world.networks['internet']}", path, None, linux.MS_BIND)
    launch.cleanup.append(lambda: (linux.libc.umount2(path.encode(), 2), os.unlink(path)))


@need("linux")
def kernel(self, launch, probe, least):
    version = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
    if version < tuple(int(number) for number in least.split(".")):
        launch.cannot[probe.id] = f"came with Linux {least}"


FIRST_INODE = 0xEFFFFFF9


@need("first-net")
def first_network(self, launch, probe, argument):
    launch.set(probe, socket="@" + self.world.first_name)
    if self.world.first_inode != FIRST_INODE:
        launch.cannot[probe.id] = "the suite does not run in the first network namespace"


@need("host-handle")
def handle(self, launch, probe, argument):
    data = ctypes.create_string_buffer(struct.pack("Ii", 64, 0) + bytes(64))
    mount = ctypes.c_int()
    try:
        linux.call("name_to_handle_at", linux.AT_FDCWD, b"/proc/self/ns/net", data, ctypes.byref(mount), 0x400)
    except OSError as error:
        launch.cannot[probe.id] = str(error)
    identity, _, inode = struct.unpack("QII", data.raw[8:24])
    launch.set(probe, id=identity, inode=inode)


@need("cgroup")
def cgroup(self, launch, probe, argument):
    inside = launch.launcher.inside
    base = f"/sys/fs/cgroup/escape-{secrets.token_hex(4)}"
    for folder in (base, f"{base}/start", f"{base}/target"):
        os.mkdir(folder)
        os.chown(f"{folder}/cgroup.procs", inside, inside)
    launch.cgroup = f"{base.removeprefix('/sys/fs/cgroup')}/start"
    launch.set(probe, procs=f"{base}/target/cgroup.procs")

    def used():
        with open(f"{base}/target/cpu.stat") as file:
            return "usage_usec 0\n" not in file.read()

    launch.checks[probe.id] = used
    launch.cleanup.append(lambda: [os.rmdir(f) for f in (f"{base}/target", f"{base}/start", base)])


libc = linux.libc
libc.shmat.restype = ctypes.c_void_p


@need("sysv")
def sysv(self, launch, probe, what):
    key = secrets.randbelow(1 << 30) + 1
    launch.set(probe, key=key)
    create = 0o1666  # IPC_CREAT
    if what == "memory":
        made = linux.check(libc.shmget(key, 4096, create), "shmget")
        where = libc.shmat(made, None, 0)
        self.later(launch, probe, lambda: ctypes.string_at(where, 64))
        launch.cleanup.append(lambda: libc.shmctl(made, 0, None))
    elif what == "message":
        made = linux.check(libc.msgget(key, create), "msgget")
        data = ctypes.create_string_buffer(256)
        self.later(launch, probe, lambda: (libc.msgrcv(made, data, 200, ctypes.c_long(0), 0o4000), data.raw)[1])
        launch.cleanup.append(lambda: libc.msgctl(made, 0, None))
    else:
        made = linux.check(libc.semget(key, 1, create), "semget")
        launch.checks[probe.id] = lambda: libc.semctl(made, 0, 12) == 77  # GETVAL
        launch.cleanup.append(lambda: libc.semctl(made, 0, 0))


@need("mqueue")
def queue(self, launch, probe, name):
    path = f"/dev/mqueue{name}"
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    os.chmod(path, 0o666)
    data = ctypes.create_string_buffer(8192)

    def received():
        try:
            linux.call("mq_timedreceive", fd, data, 8192, 0, 0)
        except BlockingIOError:
            pass
        return data.raw

    self.later(launch, probe, received)
    launch.cleanup.append(lambda: (os.close(fd), os.unlink(path)))


@need("key")
def key(self, launch, probe, where):
    inside = launch.launcher.inside
    name = f"escape-{secrets.token_hex(4)}"
    ring = linux.SESSION_KEYRING if where == "session" else linux.USER_KEYRING
    if where == "plant":
        token = self.token(probe).encode()
        listed = lambda: linux.as_user(inside, lambda: token in open("/proc/keys", "rb").read())
        launch.checks[probe.id] = lambda: listed() == 1

        def remove():
            made = linux.call("keyctl", linux.KEYCTL_SEARCH, linux.USER_KEYRING, b"user", token, 0)
            return linux.call("keyctl", linux.KEYCTL_UNLINK, made, linux.USER_KEYRING)

        def try_remove():
            try:
                linux.as_user(inside, remove)
            except OSError:
                pass  # it is not there, or is the negative one that the kernel forgets in a minute
        launch.cleanup.append(try_remove)
        return
    payload = self.secret(probe).encode()

    def add():
        if where != "session":
            # Only who possesses a key may change its permissions: by a session that has the user's keyring in it.
            linux.call("keyctl", linux.KEYCTL_JOIN_SESSION, 0)
            linux.call("keyctl", linux.KEYCTL_LINK, linux.USER_KEYRING, linux.SESSION_KEYRING)
        made = linux.call("add_key", b"user", name.encode(), payload, len(payload), ring)
        # Gone by itself, should we end before we can remove it.
        linux.call("keyctl", linux.KEYCTL_SET_TIMEOUT, made, 300)
        # Not of those alone that possess it: of all of the user.
        linux.call("keyctl", linux.KEYCTL_SETPERM, made, 0x3F3F0000)
        return made

    serial = linux.as_user(0 if where == "session" else inside, add)
    launch.set(probe, name=name, serial=serial)

    def look():
        data = ctypes.create_string_buffer(256)

        def read():
            linux.call("keyctl", linux.KEYCTL_READ, serial, data, 256)
            return self.token(probe).encode() in data.raw
        return linux.as_user(inside, read) == 1

    if where != "session":
        launch.checks[probe.id] = look
    owner = 0 if where == "session" else inside
    launch.cleanup.append(
        lambda: linux.as_user(owner, lambda: linux.call("keyctl", linux.KEYCTL_UNLINK, serial, ring)))
