"""Words of `needs`: unix sockets, and files."""
import array
import os
import pty
import socket
import tty

import linux
from providers import TYPES, need


@need("arrives", "alone", "own-stream", "own-seqpacket", "own-dgram")
def nothing(self, launch, probe, argument):
    """Words that are for the probe itself, or for the verdict."""


@need(*TYPES)
def plain(self, launch, probe, argument, word=None):
    path = self.path(launch, argument)
    # Two names of one daemon: /var/run is a link to /run.
    if path.startswith("@") or not os.path.exists(path):
        self.bind(launch, kind_of(probe), path)


@need(*(f"late-{kind}" for kind in TYPES))
def late(self, launch, probe, argument):
    launch.late.append(lambda: self.bind(launch, kind_of(probe), self.path(launch, argument)))


@need("restart-stream")
def restart(self, launch, probe, argument):
    path = self.path(launch, argument)
    server = self.bind(launch, "stream", path)

    def again():
        self.sinks.forget(server)
        os.unlink(path)
        self.bind(launch, "stream", path)
    launch.late.append(again)


@need("symlink-stream", "hardlink-stream", "renamed-stream", "mounted-stream")
def by_another_name(self, launch, probe, argument):
    path = self.path(launch, argument)
    real = f"/run/escape/behind-{probe.id}" if probe.words[0][0] == "symlink-stream" else f"{path}.real"
    self.bind(launch, "stream", real)
    match probe.words[0][0]:
        case "symlink-stream":
            os.symlink(real, path)
        case "hardlink-stream":
            os.link(real, path)
            os.unlink(real)
        case "renamed-stream":
            os.rename(real, path)
        case "mounted-stream":
            open(path, "w").close()
            linux.mount(real, path, None, linux.MS_BIND)
            launch.cleanup.append(lambda: linux.libc.umount2(path.encode(), 2))
            return
    launch.cleanup.append(lambda: os.path.lexists(path) and os.unlink(path))


@need("late-mount")
def mounted_later(self, launch, probe, folder):
    """A file system that is mounted outside while the program runs, with a daemon's socket in it."""
    os.makedirs(folder, exist_ok=True)

    def now():
        linux.mount("late", folder, "tmpfs")
        self.bind(launch, "stream", f"{folder}/service")
        launch.cleanup.append(lambda: linux.libc.umount2(folder.encode(), 2))
    launch.late.append(now)


@need("aliased-stream")
def folder_at_two_places(self, launch, probe, argument):
    """The socket is bound at one of them, the probe uses the other."""
    path = self.path(launch, argument)
    there, name = os.path.split(path)
    real = self.path(launch, f"~/real-{probe.id}")
    self.bind(launch, "stream", f"{real}/{name}")
    # Were it the user's, every socket of his could be moved there: netjail would let him have none.
    os.chown(real, 0, 0)
    os.chmod(real, 0o755)
    os.makedirs(there, exist_ok=True)
    linux.mount(real, there, None, linux.MS_BIND)
    launch.cleanup.append(lambda: linux.libc.umount2(there.encode(), 2))


@need("masked-stream")
def masked(self, launch, probe, argument):
    """A socket in a folder that a mount hides."""
    path = self.path(launch, argument)
    folder = os.path.dirname(path)
    self.bind(launch, "stream", path)
    linux.mount("mask", folder, "tmpfs")
    launch.cleanup.append(lambda: linux.libc.umount2(folder.encode(), 2))


@need("unchanged")
def unchanged(self, launch, probe, path):
    """A file outside (a sysctl, a mount table) whose change is an escape."""
    def look():
        with open(path, "rb") as file:
            return file.read()
    before = look()
    launch.checks[probe.id] = lambda: look() != before


@need("terminal")
def terminal(self, launch, probe, argument):
    """stdin is the terminal that the caller of the launcher (a shell) reads, and its controlling one. What is there
    to read in the end, as if it had been typed, is looked through for the token."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    launch.streams[0] = slave

    def typed():
        os.set_blocking(slave, False)
        try:
            return os.read(slave, 4096)
        except BlockingIOError:
            return b""
    self.later(launch, probe, typed)
    launch.cleanup.append(lambda: (os.close(master), os.close(slave)))


@need("fifo")
def fifo(self, launch, probe, argument):
    path = self.path(launch, argument)
    self.make_folder(launch, os.path.dirname(path))
    os.mkfifo(path, 0o666)
    reader = os.fdopen(os.open(path, os.O_RDWR | os.O_NONBLOCK), "rb", 0)
    self.sinks.reader(reader, f"fifo {path}")
    launch.cleanup.append(lambda: (self.sinks.forget(reader), os.unlink(path)))


@need("env-stream", "env-dgram")
def named_by_variable(self, launch, probe, argument):
    self.bind(launch, kind_of(probe), self.path(launch, argument))


FORMATS = {"DBUS_SESSION_BUS_ADDRESS": "unix:path={}", "DOCKER_HOST": "unix://{}", "CONTAINER_HOST": "unix://{}",
           "PULSE_SERVER": "unix:{}", "TMUX": "{},1,0", "GPG_AGENT_INFO": "{}:1:1"}


@need("env")
def variable(self, launch, probe, name):
    path = self.path(launch, probe.words[0][1])
    launch.environment[name] = FORMATS.get(name, "{}").format(path)


@need("cwd")
def directory(self, launch, probe, argument):
    launch.directory = self.path(launch, argument)


@need("handover")
def hands_over(self, launch, probe, argument):
    self.bind(launch, "stream", self.path(launch, argument), give=self.connection(launch))


@need("accomplice-stream", "accomplice-dgram")
def accomplice(self, launch, probe, argument):
    """Somebody outside who connects to what the program binds, and hands a connection over."""
    path = self.path(launch, argument)
    given = self.connection(launch)

    def call():
        client = socket.socket(socket.AF_UNIX, TYPES[kind_of(probe)])
        try:
            client.connect(path)
            client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [given.fileno()]))])
        except OSError:
            client.close()
            return False
        launch.cleanup.append(client.close)
        return True
    launch.accomplices.append(call)
    launch.cleanup.append(lambda: os.path.lexists(path) and os.unlink(path))


@need("file")
def file(self, launch, probe, argument):
    """A file outside in which the token may be at the end."""
    path = self.path(launch, argument)
    with open(path, "w") as made:
        made.write("." * 64)
    os.chmod(path, 0o666)
    self.later(launch, probe, lambda: open(path, "rb").read())
    launch.cleanup.append(lambda: os.unlink(path))


def kind_of(probe):
    return probe.words[0][0].rpartition("-")[2]
