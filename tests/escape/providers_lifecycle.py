"""Words of `needs`: the launcher's life, and its terminal."""
import os
import pty
import signal
import termios
import time

import world
from providers import need, wait


def named(token):
    """The processes that a probe has left: their name is the beginning of its token."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == token[:15]:
                    found.append(int(pid))
        except OSError:
            pass  # it has ended
    return found


def launcher_of(launch):
    """The child of whoever called it: the launcher, or without one the program."""
    with open(f"/proc/{launch.process}/task/{launch.process}/children") as file:
        return int(file.read().split()[0])


def go_file(launch, probe):
    path = f"{world.BASE}/go-{probe.id}"
    launch.set(probe, go=path)
    launch.cleanup.append(lambda: os.path.exists(path) and os.unlink(path))
    return path


@need("outlives")
def outlives(self, launch, probe, how):
    """What is left when the launcher has ended is told to go on; "alive": that it is there is an escape."""
    path = go_file(launch, probe)
    token = self.token(probe)
    left = []

    def after():
        # What the end of a launcher ends needs no time, except on a machine that is busy.
        gone = lambda: not named(token)
        left.append(not wait(gone, 0 if launch.launcher.bare else 0.5))
        world.write(path, "")
        wait(lambda: self.sinks.escapes(token) or gone(), 1)
        self.sinks.ask()
        for pid in named(token):
            os.kill(pid, signal.SIGKILL)

    launch.afterwards.append(after)
    if how == "alive":
        launch.checks[probe.id] = lambda: left[0]


@need("ends")
def ends(self, launch, probe, argument):
    """The program is not there to say anything."""
    launch.afterwards.append(lambda: launch.said.setdefault(probe.id, "ended"))


@need("kills")
def kills(self, launch, probe, argument):
    def call():
        if f"{probe.id}.ready" not in launch.said:
            return False
        os.kill(launcher_of(launch), signal.SIGKILL)
        launch.said.setdefault(probe.id, "the launcher was killed")
        return True
    launch.accomplices.append(call)


@need("stops")
def stops(self, launch, probe, argument):
    path = go_file(launch, probe)
    state = {}

    def call():
        if f"{probe.id}.ready" not in launch.said:
            return False
        if not state:
            state.update(pid=launcher_of(launch), since=time.monotonic())
            os.kill(state["pid"], signal.SIGSTOP)
            world.write(path, "")
        if f"{probe.id}.sent" not in launch.said and time.monotonic() < state["since"] + 0.3:
            return False
        time.sleep(0.02)  # for what is on its way
        os.kill(state["pid"], signal.SIGCONT)
        return True
    launch.accomplices.append(call)


@need("other-terminal")
def other_terminal(self, launch, probe, argument):
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    os.chown(path, launch.launcher.inside, launch.launcher.inside)
    launch.set(probe, terminal=path)
    reader = os.fdopen(master, "rb", 0)
    self.sinks.reader(reader, "another terminal of the user's")
    self.indirect(launch, probe)
    launch.cleanup.append(lambda: (self.sinks.forget(reader), os.close(slave)))


@need("terminal-mode")
def terminal_mode(self, launch, probe, argument):
    """Of "terminal": its mode is what it was."""
    slave = launch.streams[0]
    before = termios.tcgetattr(slave)
    found = []
    launch.afterwards.append(lambda: found.append(termios.tcgetattr(slave)))
    launch.checks[probe.id] = lambda: found[0] != before
