"""Words of `needs`: packets, names, and what the host answers to."""
import socket

import world
from providers import need


@need("tcp", "udp", "mptcp", "sctp", "dccp", "udplite", "packet", "raw", "frame", "dns", "to", "gateway")
def nothing(self, launch, probe, argument):
    """For the probe itself (net.h)."""


@need("echo")
def ping(self, launch, probe, argument):
    """Everybody may make sockets for echo requests, as systemd has it."""
    world.write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")


@need("protocol")
def protocol(self, launch, probe, argument):
    """family,type,number: whether this kernel has it."""
    try:
        socket.socket(*map(int, argument.split(","))).close()
    except OSError as error:
        launch.cannot[probe.id] = f"this kernel: {error.strerror}"


@need("allow")
def rule(self, launch, probe, argument):
    """A rule of the policy, for a launcher that knows rules."""
    if argument not in launch.rules:
        launch.rules += ["--allow", argument]


@need("link-local")
def neighbours(self, launch, probe, argument):
    for name in ("internet", "lan"):
        self.world.ip(name, "addr replace fe80::77/64 dev eth0 nodad\n")
