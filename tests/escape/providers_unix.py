"""Words of `needs`: unix sockets, and files."""
import array
import os
import socket

import linux
from providers import TYPES, need


@need("arrives", "own-stream", "own-seqpacket", "own-dgram")
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


@need("env-stream")
def named_by_variable(self, launch, probe, argument):
    self.bind(launch, "stream", self.path(launch, argument))


@need("env")
def variable(self, launch, probe, name):
    path = self.path(launch, probe.words[0][1])
    launch.environment[name] = f"unix:path={path}" if name.startswith("DBUS") else path


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
