"""Words of `needs`: what the host answers to, and who comes from outside."""
import os
import select
import socket
import subprocess

import linux
import world
from providers import need


def replace_address(self, launch, address):
    link = "eth0" if not address.startswith(("172.", "192.168.")) else "eth1"
    self.world.ip("host", f"addr replace {address} dev {link}{' nodad' if ':' in address else ''}\n")
    launch.cleanup.append(lambda: self.world.ip("host", f"addr del {address} dev {link}\n"))


@need("address")
def address_before(self, launch, probe, address):
    replace_address(self, launch, address)


@need("late-address")
def address_while_it_runs(self, launch, probe, address):
    launch.late.append(lambda: replace_address(self, launch, address))


@need("own-link-local")
def link_local(self, launch, probe, argument):
    for link in ("eth0", "eth1"):
        self.world.ip("host", f"addr replace fe80::99/64 dev {link} nodad\n")


@need("local-route")
def any_ip(self, launch, probe, network):
    self.world.ip("host", f"route replace local {network} dev lo\n")
    launch.cleanup.append(lambda: self.world.ip("host", f"route del local {network} dev lo\n"))


@need("forward")
def forwarded_port(self, launch, probe, port):
    """As container engines publish a port: to the local network, of what comes from elsewhere and from the host."""
    if "table ip escape" in subprocess.run(["nft", "list", "tables"], stdout=subprocess.PIPE, text=True).stdout:
        return
    rules = "".join(f"chain {hook} {{ type nat hook {hook} priority -100; fib daddr type local th dport {port} "
                    f"meta l4proto {{ tcp, udp }} dnat to 192.168.77.10:80; }}\n" for hook in ("prerouting", "output"))
    rules += "chain back { type nat hook postrouting priority 100; ip daddr 192.168.77.10 masquerade; }\n"
    subprocess.run(["nft", f"table ip escape {{ {rules} }}"], check=True)
    launch.cleanup.append(lambda: subprocess.run(["nft", "delete table ip escape"], check=True))


@need("tracked")
def tracked(self, launch, probe, argument):
    """The host tracks what it sends and forwards; its table is not to grow by what is refused."""
    chains = "".join(f"chain {hook} {{ type filter hook {hook} priority 0; ct state new counter; }}\n"
                     for hook in ("prerouting", "output"))
    subprocess.run(["nft", f"table inet escape_tracked {{ {chains} }}"], check=True)
    launch.cleanup.append(lambda: subprocess.run(["nft", "delete table inet escape_tracked"], check=True))

    def entries():
        with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
            return int(file.read())
    before = entries()
    launch.checks[probe.id] = lambda: entries() > before + 200


@need("jail")
def other_jail(self, launch, probe, port):
    """A second call of the launcher, with a listener in it."""
    launcher = launch.launcher
    made = subprocess.Popen(
        [*launcher.prefix, f"{world.BASE}/bin/escape-outside", "listen", port], env=launch.environment_of(),
        cwd=launch.directory, user=launcher.caller, group=launcher.caller, extra_groups=[], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    words = made.stdout.readline().decode().split()
    if words[:1] != ["addresses"]:
        raise SystemExit(f"{probe.id}: the other jail does not start")
    launch.set(probe, jail=" ".join(words[1:]))
    self.sinks.reader(made.stdout, "another jail")
    self.indirect(launch, probe)
    launch.cleanup.append(lambda: (made.terminate(), made.wait(), self.sinks.forget(made.stdout)))


HOST = ("198.51.100.2", "192.168.77.2", "127.0.0.1", "2001:db8:1::2", "fd77::2", "::1")


@need("inbound")
def from_outside(self, launch, probe, kind):
    """Those on the three networks try each address that the program says it has, and each of the host's."""
    done = f"{world.BASE}/done-{probe.id}"
    launch.set(probe, done=done)
    launch.cleanup.append(lambda: os.path.exists(done) and os.unlink(done))

    def call():
        said = launch.said.get(f"{probe.id}.addresses")
        if said is None:
            return False
        port, *theirs = said.split()
        self.sinks.record(reach(self, kind, {*theirs, *HOST}, int(port)), f"who asks port {port}/{kind} inside")
        world.write(done, "")
        return True
    launch.accomplices.append(call)


def reach(self, kind, addresses, port):
    """All that is said to those who ask."""
    clients = []
    for name, fd in self.world.networks.items():
        with linux.inside(fd):
            for address in addresses:
                six = ":" in address
                if name != "host" and not six and not address.startswith("127."):
                    by = "198.51.100.2" if name == "internet" else "192.168.77.2"
                    subprocess.run(["ip", "route", "add", address, "via", by], stderr=subprocess.DEVNULL)
                client = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                                       socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
                client.setblocking(False)
                clients.append(client)
                try:
                    client.connect((address, port))
                    client.send(b"hello")
                except OSError:
                    pass  # on its way, or no way
    heard = b""
    waiting = set(clients)
    while waiting:
        ready = select.select(waiting, [], [], 0.3)[0]
        if not ready:
            break
        for client in ready:
            try:
                data = client.recv(4096)
            except OSError:
                data = b""
            heard += data
            if not data or kind == "udp":
                waiting.discard(client)
    for client in clients:
        client.close()
    return heard
