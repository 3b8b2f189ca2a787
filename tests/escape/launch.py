"""One call of the launcher: what it is given, what it runs, what the program said."""
import dataclasses
import os
import selectors
import signal
import subprocess
import time

import world

DEADLINE = 60


@dataclasses.dataclass
class Probe:
    id: str
    kind: str
    promise: str
    needs: str
    note: str
    text: str

    @property
    def words(self):
        """[(word, argument)]"""
        return [(word.replace("=", ":", 1).partition(":")[::2]) for word in self.needs.split()]

    @property
    def why(self):
        """Of its note: ("root", "why")."""
        kind, _, text = self.note.partition(": ")
        return kind, text


def list_probes(binary):
    lines = subprocess.run([binary, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [Probe(*(fields := line.split("\t"))[:3], *fields[3:]) for line in lines]


class Launch:
    """Providers (providers.py) fill it, run() does it, close() takes away what they made."""

    def __init__(self, launcher, group, probes):
        self.launcher, self.group, self.probes = launcher, group, probes
        self.config = []
        self.rules = []           # options of a launcher that knows rules
        self.descriptors = []     # passed on by number
        self.streams = {}         # 0, 1, 2: instead of ours
        self.kept = []            # of the descriptors, those that the launcher is told to pass on
        self.held = []            # of the launcher's parent: not passed on
        self.environment = {}
        self.directory = world.HOMES[launcher.inside]
        self.process_group = None
        self.limit_files = False
        self.cgroup = None        # folder below /sys/fs/cgroup
        self.late = []            # to be done when the program has started
        self.afterwards = []      # to be done when the launcher has ended
        self.process = None       # whoever calls the launcher
        self.accomplices = []     # called again and again while the program runs, until they return True
        self.cannot = {}          # id: why it cannot escape on this machine, whatever the launcher
        self.checks = {}          # id: function that says whether it escaped, at the end
        self.cleanup = []
        self.said, self.noise, self.status = {}, [], None

    def set(self, probe, **values):
        self.config += [f"{probe.id}.{key} {value}" for key, value in values.items()]

    def environment_of(self):
        inside = self.launcher.inside
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": world.HOMES[inside], "LANG": "C.UTF-8",
                "XDG_RUNTIME_DIR": f"/run/user/{inside}", "XDG_CONFIG_HOME": f"{world.BASE}/config",
                **{name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ},
                **self.environment}

    def command(self, prefix):
        binaries = f"{world.BASE}/bin"
        command = ["prlimit", "--nofile=256:256"] if self.limit_files else []
        command += [f"{binaries}/escape-outside", "caller", ",".join(map(str, self.held)) or "-"]
        prefix_words = list(self.launcher.prefix)
        for number in self.kept if self.launcher.keep else ():
            prefix_words[-1:-1] = [self.launcher.keep, str(number)]  # before its "--"
        if self.launcher.keep:
            prefix_words[-1:-1] = self.rules
        return command + prefix_words + [f"{binaries}/escape-{self.group}", "--run",
                                                 f"{world.BASE}/config.txt", prefix, *[p.id for p in self.probes]]

    def run(self, prefix):
        waits = 0 not in self.streams
        self.config += [f"home {world.HOMES[self.launcher.inside]}", f"uid {self.launcher.inside}",
                        f"report {2 if 1 in self.streams else 1}"] + (["wait 1"] if waits else [])
        world.write(f"{world.BASE}/config.txt", "\n".join(self.config) + "\n")
        pipe, caller = subprocess.PIPE, self.launcher.caller
        # By ourselves: the caller is not allowed to leave our own.
        back = enter_cgroup(self.cgroup) if self.cgroup else None
        program = subprocess.Popen(
            self.command(prefix), env=self.environment_of(), cwd=self.directory, process_group=self.process_group,
            user=caller, group=caller, extra_groups=[],
            pass_fds=self.descriptors + self.held, stdin=self.streams.get(0, pipe), stdout=self.streams.get(1, pipe),
            stderr=self.streams.get(2, pipe), bufsize=0)
        self.process = program.pid
        if back:
            enter_cgroup(back)
        self.follow(program)
        for work in self.afterwards:
            work()
        for stream in (program.stdin, program.stdout, program.stderr):
            if stream is not None:
                stream.close()

    def follow(self, program):
        end = time.monotonic() + DEADLINE
        watched = selectors.DefaultSelector()
        texts = {stream: b"" for stream in (program.stdout, program.stderr) if stream is not None}
        for stream in texts:
            os.set_blocking(stream.fileno(), False)
            watched.register(stream, selectors.EVENT_READ)
        ending = os.pidfd_open(program.pid)
        watched.register(ending, selectors.EVENT_READ)
        while self.status is None:
            self.accomplices = [call for call in self.accomplices if not call()]
            ready = [key.fileobj for key, _ in watched.select(0.005 if self.accomplices else end - time.monotonic())]
            ended = ending in ready
            for stream in texts if ended else ready:
                data = b""
                while more := stream.read(65536):
                    data += more
                if more == b"" and not ended:
                    watched.unregister(stream)
                lines = (texts[stream] + data).split(b"\n")
                texts[stream] = lines.pop()
                for line in lines:
                    self.heard(line.decode(errors="replace"), program)
            if ended:
                self.status = program.wait()
            elif time.monotonic() > end:
                self.noise.append(f"not finished within {DEADLINE} s")
                program.kill()
                self.status = program.wait()
        watched.close()
        os.close(ending)
        self.noise += [text.decode(errors="replace") for text in texts.values() if text]

    def heard(self, line, program):
        first, tab, rest = line.partition("\t")
        if line == "started":
            for work in self.late:
                work()
            if program.stdin is not None:
                try:
                    program.stdin.write(b"g")
                except BrokenPipeError:
                    self.noise.append("the launcher closed stdin")
            self.said["started"] = "yes"
        elif line == "finished":
            self.said["finished"] = "yes"
        elif tab:
            self.said[first] = rest
        elif line:
            self.noise.append(line)

    def close(self):
        for work in reversed(self.cleanup):
            work()


def enter_cgroup(path):
    """Returns the one that we were in."""
    with open("/proc/self/cgroup") as file:
        old = next(line[3:].strip() for line in file if line.startswith("0::"))
    world.write(f"/sys/fs/cgroup/{path}/cgroup.procs", "0")
    return old


def end(process):
    """Of a victim: it may have been stopped by a tracer that is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
