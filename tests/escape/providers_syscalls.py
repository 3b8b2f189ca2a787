"""Words of `needs`: system calls, privilege."""
import ctypes
import errno
import os
import struct

import linux
import world
from providers import need
from providers_network import protocol


@need("-", "flags", "number", "capability", "node")
def nothing(self, launch, probe, argument):
    """For the probe itself."""


@need("surface")
def surface(self, launch, probe, argument):
    """What is had leads nowhere by itself: there is no sink for it, so the program is believed."""
    launch.checks[probe.id] = lambda: launch.said.get(probe.id, "").startswith("has it")


need("family")(protocol)


@need("machine")
def machine(self, launch, probe, name):
    if name == "x32":
        ok = os.uname().machine == "x86_64" and linux.libc.syscall(0x40000000 | 39) > 0  # getpid
    else:
        ok = os.uname().machine == name
    if not ok:
        launch.cannot[probe.id] = f"this is no {name}"


@need("has")
def has_call(self, launch, probe, name):
    """Whether this kernel has the system call at all; called wrongly."""
    number = {"kexec_load": 246, "init_module": 175} if os.uname().machine == "x86_64" else \
             {"kexec_load": 104, "init_module": 105}
    linux.libc.syscall(number[name], 0, 0, 0, 0xFF)
    if ctypes.get_errno() == errno.ENOSYS:
        launch.cannot[probe.id] = f"this kernel has no {name}"


@need("host-link")
def link(self, launch, probe, name):
    path = f"/sys/class/net/{name}"
    launch.checks[probe.id] = lambda: os.path.exists(path)
    launch.cleanup.append(lambda: os.path.exists(path) and self.world.ip("host", f"link del {name}\n"))


@need("host-route")
def route(self, launch, probe, number):
    def there():
        with open("/proc/net/route") as file:
            return number in file.read()
    launch.checks[probe.id] = there
    launch.cleanup.append(lambda: there() and self.world.ip("host", "route del blackhole 9.9.9.240\n"))


@need("handle")
def handle(self, launch, probe, folder):
    """A file with a secret in a folder that a mount covers, and its handle."""
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/secret"
    world.write(path, self.secret(probe))
    os.chmod(path, 0o600)
    data = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    linux.call("name_to_handle_at", linux.AT_FDCWD, path.encode(), data, ctypes.byref(mount), 0)
    size, kind = struct.unpack("Ii", data.raw[:8])
    launch.set(probe, handle=data.raw[8:8 + size].hex(), type=kind)
    linux.mount("mask", folder, "tmpfs")
    launch.cleanup.append(lambda: (linux.libc.umount2(folder.encode(), 2), os.unlink(path)))


# --- privilege


@need("opens")
def opens(self, launch, probe, path):
    """A file whose opening for writing is enough."""
    if not os.path.exists(path):
        launch.cannot[probe.id] = f"there is no {path}"


@need("device")
def device(self, launch, probe, argument):
    """NAME,KIND,MAJOR,MINOR: a node in the world's /dev; "disk": the first disk of the machine."""
    name, kind, *numbers = argument.split(",")
    if kind == "disk":
        with open("/proc/partitions") as file:
            numbers = file.read().split("\n")[2].split()[:2]
    if kind == "misc":
        with open("/proc/misc") as file:
            numbers = [line.split()[0] for line in file if line.split()[1] == name]
        if not numbers:
            launch.cannot[probe.id] = f"this kernel has no {name}"
            return
        numbers = [10, *numbers]
    path = f"/dev/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        os.mknod(path, 0o20666 if kind != "disk" and kind != "b" else 0o60666, os.makedev(*map(int, numbers)))
        launch.cleanup.append(lambda: os.unlink(path))
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        launch.cannot[probe.id] = f"this kernel: {error.strerror}"


@need("sysctl")
def sysctl(self, launch, probe, path):
    """One of the host's network namespace: written by the probe, looked at here."""
    with open(path) as file:
        before = file.read()
    launch.checks[probe.id] = lambda: open(path).read() != before
    launch.cleanup.append(lambda: world.write(path, before))


@need("privileged")
def privileged_program(self, launch, probe, how):
    """A program that gets privilege by being run."""
    path = f"{world.BASE}/bin/escape-{how}"
    with open(f"{world.BASE}/bin/escape-outside", "rb") as old, open(path, "wb") as new:
        new.write(old.read())
    os.chmod(path, 0o4755 if how == "set-uid" else 0o755)
    if how == "capable":  # version 2, effective: CAP_NET_ADMIN, CAP_NET_RAW
        os.setxattr(path, "security.capability", struct.pack("<5I", 0x2000001, 0x3000, 0, 0, 0))
    launch.set(probe, program=path)
    launch.cleanup.append(lambda: os.unlink(path))
