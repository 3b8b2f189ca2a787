"""What a probe needs of the world: each word of its `needs` is a function here, called before the launch with the
launch, the probe and the word's argument. It makes the thing, tells the probe about it by launch.set(), says by
launch.checks how an escape shows if no token can, and takes it away by launch.cleanup."""
import os
import secrets
import socket
import subprocess
import time

import linux
import world
from launch import end
from sinks import make_token

FORBIDDEN = ("203.0.113.10", 443)
TYPES = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
NEEDS = {}  # word: function(providers, launch, probe, argument)
OWN_LAUNCH = ("as", "cwd", "launcher-dies", "terminal", "alone")  # of these words a probe is called alone


def need(*words):
    def add(function):
        for word in words:
            NEEDS[word] = function
        return function
    return add


def wait(condition, seconds):
    end_of_it = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end_of_it:
        time.sleep(0.005)
    return met


class Providers:
    def __init__(self, the_world, prefix):
        self.world, self.sinks, self.prefix = the_world, the_world.sinks, prefix
        self.secrets = {}  # id: what only somebody outside knows

    def prepare(self, launch):
        for probe in launch.probes:
            for word, argument in probe.words:
                if word not in NEEDS:
                    raise SystemExit(f"{probe.id}: nobody provides '{word}'")
                NEEDS[word](self, launch, probe, argument)

    def token(self, probe):
        return make_token(self.prefix, probe.id)

    def secret(self, probe):
        return self.secrets.setdefault(probe.id, f"secret-{secrets.token_hex(8)}")

    # What several of them use.

    def path(self, launch, text):
        inside = launch.launcher.inside
        return text.replace("~", world.HOMES[inside]).replace("%u", str(inside))

    def make_folder(self, launch, path):
        """Below a home folder or /run/user it is the user's, elsewhere root's."""
        inside = launch.launcher.inside
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            os.mkdir(path, 0o755)
            if path.startswith((world.HOMES[inside], f"/run/user/{inside}")):
                os.chown(path, inside, inside)

    def bind(self, launch, kind, path, name=None, give=None):
        """A sink at this path, for everybody."""
        server = socket.socket(socket.AF_UNIX, TYPES[kind])
        if path.startswith("@"):
            server.bind("\0" + path[1:])
        else:
            self.make_folder(launch, os.path.dirname(path))
            server.bind(path)
            os.chmod(path, 0o777)
            launch.cleanup.append(lambda: os.path.lexists(path) and os.unlink(path))
        if kind == "dgram":
            self.sinks.reader(server, name or path)
        else:
            server.listen(64)
            self.sinks.listener(server, name or path, give)
        launch.cleanup.append(lambda: self.sinks.forget(server))
        return server

    def connection(self, launch, address=FORBIDDEN):
        """A tcp connection of the host's."""
        made = socket.create_connection(address, timeout=5)
        made.settimeout(None)
        launch.cleanup.append(made.close)
        return made

    def pipe(self, launch, name):
        """The number of an end that writes to a sink."""
        read, write = os.pipe()
        os.fchown(write, launch.launcher.inside, launch.launcher.inside)  # /proc/PID/fd asks for its mode
        reader = os.fdopen(read, "rb", 0)
        self.sinks.reader(reader, name)
        launch.cleanup.append(lambda: self.sinks.forget(reader))
        launch.cleanup.append(lambda: os.close(write))
        return write

    def indirect(self, launch, probe):
        """What arrives by way of somebody else does so some time after the probe has sent it."""
        def work():
            said = launch.said.get(probe.id, "")
            if said.startswith("sent") and not said.startswith("sent 0"):
                wait(lambda: self.sinks.escapes(self.token(probe)), 1)
        launch.afterwards.append(work)

    def later(self, launch, probe, look):
        """look() gives octets at the end of the launch in which the token may be."""
        def check():
            self.sinks.record(look(), f"what {probe.id} was given")
            return False
        launch.checks[probe.id] = check


def start_victim(self, launch, probe, options):
    """A process of the program's user. options: of the words of the probe."""
    inside = launch.launcher.inside
    folder = f"/run/escape/victim-{probe.id}"
    self.bind(launch, "stream", f"{folder}/sock", "socket that the victim can reach")
    pipe = self.pipe(launch, "pipe of the victim's")
    theirs = self.connection(launch).fileno()
    # Not by setpriv: the environment must be the victim's own, and readable to its user.
    victim = subprocess.Popen(
        [f"{world.BASE}/bin/escape-outside", "victim", self.secret(probe)] + (["userns"] if "userns" in options else []),
        user=inside, group=inside, extra_groups=[], cwd=folder, pass_fds=(pipe, theirs), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, process_group=0,
        env={"SECRET": self.secret(probe), "scan": self.secret(probe) if probe.id.endswith("scan") else ""})
    ready = victim.stdout.readline().decode().split()
    if len(ready) != 3:
        raise SystemExit(f"{probe.id}: the victim does not start")
    launch.set(probe, pid=victim.pid, buffer=ready[1], secret=ready[2], socket=f"{folder}/sock", below="/sock",
               pipe=pipe, their=theirs)

    def ask():
        end(victim)
        try:
            said, _ = victim.communicate(b"\n", timeout=10)
        except subprocess.TimeoutExpired:
            victim.kill()
            said, _ = victim.communicate()
        self.sinks.record(said, "memory or network of the victim")
        # One that was killed has told nothing, and that is an answer.
        return victim.returncode != 0 or bool(options.get("victim")) and f"signal {options['victim']}\n".encode() in said

    launch.checks[probe.id] = ask
    launch.cleanup.append(lambda: (victim.kill(), victim.wait()))
    return victim
