"""The sinks: everything outside the jail that a token can arrive at. One thread, one loop; what arrives is recorded
with the name of the sink and whether the policy allows it there. A probe's own opinion does not come into it."""
import array
import os
import re
import selectors
import socket
import struct
import threading

TOKEN = re.compile(rb"token-[0-9a-f]{16}")
ALLOWED = ("198.51.100.10", 443)


def make_token(prefix, probe):
    """As probe.c makes it: FNV-1a of prefix and id."""
    value = 0xCBF29CE484222325
    for octet in (prefix + probe).encode():
        value = (value ^ octet) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"token-{value:016x}"


def is_allowed_frame(frame):
    """IPv4 and tcp to ALLOWED, and no further."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return False
    start = 14 + (frame[14] & 15) * 4
    if start > 34 and frame[34] in (0x83, 0x89):  # a source route
        return False
    return socket.inet_ntoa(frame[30:34]) == ALLOWED[0] and frame[start + 2:start + 4] == struct.pack(">H", ALLOWED[1])


class Sinks:
    def __init__(self):
        self.arrivals = {}  # token: [(sink, allowed)]
        self.selector = selectors.DefaultSelector()
        self.work = []
        self.lock = threading.Lock()
        self.wake, woken = socket.socketpair()
        self.selector.register(woken, selectors.EVENT_READ, lambda: woken.recv(1))
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            events = self.selector.select(0 if self.work else None)
            for key, _ in events:
                key.data()
            if events:
                continue
            # Nothing is left to read: what main asked for can be done.
            with self.lock:
                work, self.work = self.work, []
            for function, done in work:
                function()
                done.set()

    def ask(self, function=lambda: None):
        """Has the thread run it, after it has read all that is there."""
        done = threading.Event()
        with self.lock:
            self.work.append((function, done))
        self.wake.send(b"x")
        done.wait()

    def record(self, data, sink, allowed=False):
        for token in TOKEN.findall(data):
            seen = self.arrivals.setdefault(token.decode(), [])
            if (sink, allowed) not in seen:
                seen.append((sink, allowed))

    def escapes(self, token):
        return sorted(sink for sink, allowed in self.arrivals.get(token, []) if not allowed)

    def allowed(self, token):
        return [sink for sink, allowed in self.arrivals.get(token, []) if allowed]

    def watch(self, file, function):
        self.ask(lambda: self.selector.register(file, selectors.EVENT_READ, function))

    def forget(self, file):
        def gone():
            try:
                self.selector.unregister(file)
            except (KeyError, ValueError):
                pass
            file.close()
        self.ask(gone)

    # Each takes an open socket or file and records what comes.

    def dns(self, server, sink, answers):
        """A DNS server; answers: {first label: IPv4 address}, any other name has none."""
        def read():
            data, sender = server.recvfrom(4096)
            self.record(data.lower(), sink)
            end = data.find(b"\0", 12) + 5
            if len(data) < 17 or end < 17:
                return
            label = data[13:13 + data[12]].decode(errors="replace").lower()
            found = label in answers and data[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\1\0\0\4" + socket.inet_aton(answers[label]) if found else b""
            server.sendto(data[:2] + b"\x81\x80\0\1\0" + bytes([found]) + bytes(4) + data[12:end] + answer, sender)
        server.setblocking(False)
        self.watch(server, read)

    def reader(self, file, sink, allowed=False, once=False):
        """A connected stream, a datagram socket, a pipe."""
        descriptor = file.fileno()
        is_stream = not isinstance(file, socket.socket) or file.type != socket.SOCK_DGRAM

        def read():
            try:
                data = os.read(descriptor, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self.record(data, sink, allowed)
            # Who connects to a daemon that is none gets no answer, but need not wait for one: libc asks nscd.
            if is_stream and (not data or once):
                self.selector.unregister(file)
                if once:
                    file.close()

        os.set_blocking(descriptor, False)
        if threading.current_thread() is threading.main_thread():
            self.watch(file, read)
        else:
            self.selector.register(file, selectors.EVENT_READ, read)

    def listener(self, server, sink, give=None):
        """Accepts; a tcp connection is judged by the address that it came to. give: a socket for each who comes."""

        def accept():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            name, allowed = sink, False
            if connection.family in (socket.AF_INET, socket.AF_INET6):
                address, port = connection.getsockname()[:2]
                address = address.removeprefix("::ffff:")
                name, allowed = f"{sink} {address}:{port}/tcp", (address, port) == ALLOWED
            if give is not None:
                connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [give.fileno()]))])
            self.reader(connection, name, allowed, once=True)

        server.setblocking(False)
        self.watch(server, accept)

    def frames(self, packets, sink):
        def read():
            try:
                frame = packets.recv(65536)
            except OSError:
                return
            self.record(frame, sink, is_allowed_frame(frame))

        packets.setblocking(False)
        self.watch(packets, read)
