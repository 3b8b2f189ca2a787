"""The fake world: a machine ("host") with an uplink to an Internet and a second link to a local network, as in
tests/support/world.h, in namespaces of the runner's own. Nothing of the machine is touched; all of it ends with the
runner.

    internet                          host                               lan
    198.51.100.1, .10, .11, .53  ◄──► eth0 198.51.100.2  eth1 192.168.77.2 ◄──► 192.168.77.1, .10
    203.0.113.10, .11                 2001:db8:1::2      fd77::2                169.254.169.254  fd77::1
    2001:db8:1::1, ::10  2001:db8:2::10
"""
import os
import shutil
import signal
import socket
import subprocess

import linux

USER = 61999  # nobody of this machine
BASE = "/srv/escape"
HOMES = {0: "/root", USER: "/home/escape"}
TCP_PORTS = (7, 22, 53, 80, 443, 853, 5432, 8080)
UDP_PORTS = (7, 9, 53, 123, 443)
NAMES = {"public": "203.0.113.10", "unasked": "203.0.113.10", "metadata": "169.254.169.254",
         "host": "198.51.100.2"}  # of example.test
LAYOUT = {
    "internet": ["198.51.100.1/24", "198.51.100.10/24", "198.51.100.11/24", "198.51.100.53/24", "203.0.113.10/32",
                 "203.0.113.11/32", "2001:db8:1::1/64", "2001:db8:1::10/64", "2001:db8:2::10/128"],
    "lan": ["192.168.77.1/24", "192.168.77.10/24", "169.254.169.254/32", "fd77::1/64"]}


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def own_process_namespace():
    """Every namespace but the network's: as process 1 of ours, whose end is everybody's. Returns in the child only."""
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWPID)
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    linux.prctl(linux.PR_SET_PDEATHSIG, 9)
    # Keys of the world are in a session keyring of its own.
    linux.call("keyctl", linux.KEYCTL_JOIN_SESSION, 0)
    # A machine has kernel threads. Where there are none, firejail takes it for a container and runs the program bare.
    if os.fork() == 0:
        linux.prctl(linux.PR_SET_NAME, b"kthreadd")
        while True:
            signal.pause()
    # What a probe takes for the number of a process outside is nobody's in a young jail.
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("proc", "/proc", "proc")
    write("/proc/sys/kernel/ns_last_pid", "3000")


class World:
    def __init__(self, sinks, files):
        """files: {name: path}, the programs that go to BASE/bin; "profiles": a folder."""
        self.sinks = sinks
        # In the machine's own network namespace: for those who find the way back to it.
        self.first = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.first_name = f"escape-first-{os.urandom(8).hex()}"
        self.first.bind("\0" + self.first_name)
        self.first.listen()
        self.first_inode = os.stat("/proc/self/ns/net").st_ino
        self.mount_all(files)
        self.networks = {}
        for name in ("internet", "lan", "host"):
            linux.unshare(linux.CLONE_NEWNET)
            self.networks[name] = linux.open_namespace()
            for scope in ("all", "default"):
                write(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", "0")
                write(f"/proc/sys/net/ipv6/conf/{scope}/accept_ra", "0")
            write("/proc/sys/net/ipv4/ip_forward", "0")
        # From here on we are in `host`.
        linux.mount("sysfs", "/sys", "sysfs")
        linux.mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
        # As systemd leaves it: what is mounted here later shows in namespaces that do not see to it.
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_SHARED)
        self.add_links()
        self.serve()

    def mount_all(self, files):
        old = {name: open(path, "rb").read() for name, path in files.items() if name != "profiles"}
        linux.mount("srv", "/srv", "tmpfs", 0, "mode=755")
        os.makedirs(f"{BASE}/bin")
        for name, text in old.items():
            with open(f"{BASE}/bin/{name}", "wb") as file:
                file.write(text)
            os.chmod(f"{BASE}/bin/{name}", 0o755)
        shutil.copytree(files["profiles"], f"{BASE}/config/netjail/profiles")
        for name in ("passwd", "group"):
            line = {"passwd": f"escape:x:{USER}:{USER}::/home/escape:/bin/sh\n", "group": f"escape:x:{USER}:\n"}[name]
            shutil.copy(f"/etc/{name}", f"{BASE}/{name}")
            with open(f"{BASE}/{name}", "a") as file:
                file.write(line)
            linux.mount(f"{BASE}/{name}", f"/etc/{name}", None, linux.MS_BIND)
        for folder, mode in (("/run", "755"), ("/tmp", "1777"), ("/var/tmp", "1777"), ("/home", "755"), ("/mnt", "755"),
                             ("/opt", "755"), ("/root", "700"), ("/var/lib", "755"), ("/var/spool", "755")):
            linux.mount("world", folder, "tmpfs", 0, f"mode={mode}")
        self.mount_dev()
        os.makedirs("/mnt/volume")
        linux.mount("volume", "/mnt/volume", "tmpfs", 0, "mode=755")
        os.makedirs("/srv/proc")
        linux.mount("proc", "/srv/proc", "proc")
        for uid, home in HOMES.items():
            for folder in (home, f"{home}/work", f"/run/user/{uid}"):
                os.makedirs(folder, exist_ok=True)
                os.chown(folder, uid, uid)
        os.chmod("/run/user/0", 0o700)
        write(f"{BASE}/resolv.conf", "nameserver 198.51.100.53\n")
        target = os.path.realpath("/etc/resolv.conf")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
        linux.mount(f"{BASE}/resolv.conf", target, None, linux.MS_BIND)

    def mount_dev(self):
        """A /dev of the world's own, as udev makes it."""
        linux.mount("dev", "/dev", "tmpfs", 0, "mode=755")
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
                                   ("tty", 5, 0), ("net/tun", 10, 200)):
            os.makedirs(os.path.dirname(f"/dev/{name}"), exist_ok=True)
            os.mknod(f"/dev/{name}", 0o20666, os.makedev(major, minor))
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"),
                             ("ptmx", "pts/ptmx")):
            os.symlink(target, f"/dev/{name}")
        for name, kind, data in (("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"),
                                 ("shm", "tmpfs", "mode=1777"), ("mqueue", "mqueue", None)):
            os.mkdir(f"/dev/{name}")
            linux.mount(kind, f"/dev/{name}", kind, 0, data)

    def ip(self, network, lines):
        with linux.inside(self.networks[network]):
            subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)

    def add_links(self):
        mine = f"/proc/{os.getpid()}/fd"
        addresses = lambda link, list_: "".join(
            f"addr add {a} dev {link}{' nodad' if ':' in a else ''}\n" for a in list_)
        # The two ends of a pair have different indices, on purpose (see tests/support/world.cc).
        lines = "link set lo up\n"
        for link, index, name in (("eth0", 102, "internet"), ("eth1", 103, "lan")):
            lines += f"link add {link} index {index} type veth peer name eth0 netns {mine}/{self.networks[name]}\n"
        lines += addresses("eth0", ["198.51.100.2/24", "2001:db8:1::2/64"])
        lines += addresses("eth1", ["192.168.77.2/24", "fd77::2/64"])
        self.ip("host", lines + "link set eth0 up\nlink set eth1 up\n")
        for name, list_ in LAYOUT.items():
            self.ip(name, "link set lo up\n" + addresses("eth0", list_) + "link set eth0 up\n")
        self.ip("host", "route add default via 198.51.100.1\nroute add default via 2001:db8:1::1\n"
                        "route add 169.254.169.254 via 192.168.77.1\n")

    def serve(self):
        self.sinks.listener(self.first, "the machine's own network namespace")
        for name, fd in self.networks.items():
            with linux.inside(fd):
                for port in TCP_PORTS:
                    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
                    self.sinks.listener(server, name)
                for port in UDP_PORTS:
                    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                    if (name, port) == ("internet", 53):
                        server.bind(("::ffff:198.51.100.53", port))  # so that its answers come from there
                        self.sinks.dns(server, "internet port 53/udp", NAMES)
                    else:
                        server.bind(("::", port))
                        self.sinks.reader(server, f"{name} port {port}/udp")
                if name != "host":
                    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                    packets.bind(("eth0", 0))
                    self.sinks.frames(packets, f"frames to {name}")
