"""Words of `needs`: descriptors that the launcher inherits. "fd:KIND" makes one, "as=stdin" says where it goes."""
import array
import ctypes
import fcntl
import os
import socket
import struct

import linux
from providers import FORBIDDEN, need, start_victim

KINDS = {}


def kind(function):
    KINDS[function.__name__.replace("_", "-")] = function
    return function


@need("fd")
def descriptor(self, launch, probe, argument):
    fd = KINDS[argument](self, launch, probe)
    place = dict(probe.words).get("as")
    if place in ("stdin", "stdout", "stderr"):
        number = ("stdin", "stdout", "stderr").index(place)
        launch.streams[number] = fd
    elif place == "high":
        number = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 900)
        launch.limit_files = True
        launch.descriptors.append(number)
        launch.cleanup.append(lambda: os.close(number))
    else:
        number = fd
        launch.descriptors.append(fd)
        if place == "kept":
            launch.kept.append(fd)
    launch.set(probe, fd=number)


@need("as")
def placed(self, launch, probe, argument):
    """See descriptor()."""


@need("parent")
def parent(self, launch, probe, argument):
    """Descriptors of whoever calls the launcher, which are not passed on."""
    launch.held += [self.connection(launch).fileno(), self.pipe(launch, "pipe of the launcher's parent")]


def keep(launch, made):
    launch.cleanup.append(made.close)
    return made.fileno()


def keep_number(launch, fd):
    launch.cleanup.append(lambda: os.close(fd))
    return fd


@kind
def tcp_forbidden(self, launch, probe):
    return self.connection(launch).fileno()


@kind
def tcp_allowed(self, launch, probe):
    return self.connection(launch, ("198.51.100.10", 443)).fileno()


@kind
def tcp_listening(self, launch, probe):
    return keep(launch, socket.create_server(("0.0.0.0", 0)))


@kind
def udp(self, launch, probe):
    return keep(launch, socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


@kind
def packet(self, launch, probe):
    launch.set(probe, index=socket.if_nametoindex("eth0"))
    return keep(launch, socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))


@kind
def icmp(self, launch, probe):
    return keep(launch, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))


@kind
def netlink(self, launch, probe):
    self.world.ip("host", f"link set eth1 alias {self.secret(probe)}\n")
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    made.bind((0, 0))
    return keep(launch, made)


def unix_pair(self, launch, which):
    ours, theirs = socket.socketpair(socket.AF_UNIX, which)
    launch.cleanup.append(lambda: self.sinks.forget(ours))
    self.sinks.reader(ours, "the other end of the unix socket")
    return keep(launch, theirs)


@kind
def unix_stream(self, launch, probe):
    return unix_pair(self, launch, socket.SOCK_STREAM)


@kind
def unix_seqpacket(self, launch, probe):
    return unix_pair(self, launch, socket.SOCK_SEQPACKET)


@kind
def unix_dgram(self, launch, probe):
    return unix_pair(self, launch, socket.SOCK_DGRAM)


def free_dgram(self, launch, probe, path):
    self.bind(launch, "dgram", path)
    launch.set(probe, path=path)
    return keep(launch, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))


@kind
def unix_dgram_path(self, launch, probe):
    return free_dgram(self, launch, probe, f"/run/escape/{probe.id}")


@kind
def unix_dgram_abstract(self, launch, probe):
    return free_dgram(self, launch, probe, f"@escape-{probe.id}")


def handed(self, launch, which):
    """A socket in whose queue a connection already is."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, which)
    given = self.connection(launch).fileno()
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [given]))])
    launch.cleanup.append(ours.close)
    return keep(launch, theirs)


@kind
def unix_handed(self, launch, probe):
    return handed(self, launch, socket.SOCK_STREAM)


@kind
def unix_handed_seqpacket(self, launch, probe):
    return handed(self, launch, socket.SOCK_SEQPACKET)


def hidden_socket(self, launch, probe):
    path = f"/run/escape/hidden/{probe.id}"
    self.bind(launch, "stream", path)
    return path


@kind
def folder(self, launch, probe):
    launch.set(probe, name=probe.id)
    return keep_number(launch, os.open(os.path.dirname(hidden_socket(self, launch, probe)), os.O_RDONLY))


@kind
def o_path(self, launch, probe):
    return keep_number(launch, os.open(hidden_socket(self, launch, probe), os.O_PATH))


@kind
def mount(self, launch, probe):
    hidden_socket(self, launch, probe)
    launch.set(probe, name=f"escape/hidden/{probe.id}")
    return keep_number(launch, linux.call("open_tree", linux.AT_FDCWD, b"/run", linux.OPEN_TREE_CLONE))


@kind
def netns(self, launch, probe):
    return keep_number(launch, linux.open_namespace())


@kind
def userns(self, launch, probe):
    victim = start_victim(self, launch, probe, {"userns": ""})
    net = os.open(f"/proc/{victim.pid}/ns/net", os.O_RDONLY)
    launch.set(probe, net=net)
    launch.descriptors.append(net)
    launch.cleanup.append(lambda: os.close(net))
    return keep_number(launch, os.open(f"/proc/{victim.pid}/ns/user", os.O_RDONLY))


@kind
def pidfd(self, launch, probe):
    return keep_number(launch, os.pidfd_open(start_victim(self, launch, probe, {}).pid))


@kind
def memfd(self, launch, probe):
    fd = os.memfd_create("escape")
    self.later(launch, probe, lambda: os.pread(fd, 64, 0))
    return keep_number(launch, fd)


@kind
def pipe(self, launch, probe):
    return self.pipe(launch, "pipe")


@kind
def harmless(self, launch, probe):
    """A pipe with something in it: what every launcher has to pass on."""
    read, write = os.pipe()
    os.write(write, b"x")
    launch.cleanup.append(lambda: os.close(write))
    return keep_number(launch, read)


@kind
def file(self, launch, probe):
    path = f"/var/lib/escape-{probe.id}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    self.later(launch, probe, lambda: open(path, "rb").read())
    return keep_number(launch, fd)


@kind
def io_uring(self, launch, probe):
    parameters = (ctypes.c_uint32 * 30)()
    fd = linux.call("io_uring_setup", 8, ctypes.byref(parameters))
    registered = (ctypes.c_int * 1)(self.connection(launch).fileno())
    linux.call("io_uring_register", fd, 2, ctypes.byref(registered), 1)
    # sq_off: head, tail, ring_mask, ring_entries, flags, dropped, array
    launch.set(probe, tail=parameters[11], array=parameters[16])
    return keep_number(launch, fd)


@kind
def tun(self, launch, probe):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tap9", 0x0001 | 0x1000))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    self.world.ip("host", "addr add 10.99.0.1/24 dev tap9\nlink set tap9 up\n")
    return keep_number(launch, fd)
