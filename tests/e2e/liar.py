"""liar.py: DNS servers that lie, fail, or are merely odd, each on an address of its own.

203.0.113.73 answers by the name that is asked (the methods of Odd); the others do one thing to all names.
Every question is a line of output: server, transport, name, type.
"""
import select, socket, struct, sys, time

A, CNAME, MX, TXT, AAAA, SRV, DNAME, RRSIG, HTTPS = 1, 5, 15, 16, 28, 33, 39, 46, 65
GOOD, OTHER, EVIL = "203.0.113.70", "203.0.113.71", "203.0.113.72"
WHOLE = {"74": "servfail", "75": "refused", "76": "formerr", "77": "silent", "78": "lower", "79": "lower_udp"}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=60):
    return wire(owner) + struct.pack(">2HIH", kind, 1, ttl, len(data)) + data


def a(owner, address, ttl=60):
    return record(owner, A, socket.inet_aton(address), ttl)


def cname(owner, target):
    return record(owner, CNAME, wire(target))


class Question:
    def __init__(self, message, tcp):
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
            at += message[at] + 1
        self.id, self.tcp = message[:2], tcp
        self.name, self.kind = ".".join(labels).lower(), struct.unpack(">H", message[at + 1:at + 3])[0]
        self.section = message[12:at + 5]

    def answer(self, *records, rcode=0, flags=0x8180, id=None, section=None, extra=()):
        return ((id or self.id) + struct.pack(">5H", flags | rcode, 1, len(records), 0, len(extra)) +
                (section or self.section) + b"".join(records) + b"".join(extra))

    def truncated(self):
        return self.answer(flags=0x8380)


class Odd:
    """A method for the first label: what is sent, in order; (seconds, message) is sent later."""
    count = {}

    def number(self, q):
        self.count[q.name] = self.count.get(q.name, 0) + 1
        return self.count[q.name]

    def chain(self, q, length):
        names = [q.name] + [f"l{i}.links.test" for i in range(length)]
        return [q.answer(*map(cname, names, names[1:]), a(names[-1], GOOD))]

    def plain(self, q): return [q.answer(a(q.name, GOOD)) if q.kind == A else q.answer()]
    def chain8(self, q): return self.chain(q, 8)
    def chain40(self, q): return self.chain(q, 40)
    def loop(self, q): return [q.answer(cname(q.name, "b.test"), cname("b.test", q.name))]
    def self(self, q): return [q.answer(cname(q.name, q.name), a(q.name, GOOD))]
    def dname(self, q):
        return [q.answer(record("zone.test", DNAME, wire("moved.test")), cname(q.name, "dname.moved.test"),
                         a("dname.moved.test", GOOD))]
    def falsedname(self, q):
        return [q.answer(record("zone.test", DNAME, wire("moved.test")), cname(q.name, "evil.test"),
                         a("evil.test", EVIL))]
    def ttl0(self, q): return [q.answer(a(q.name, f"203.0.113.{80 + self.number(q) % 10}", 0))]
    def trunc(self, q): return [q.answer(a(q.name, GOOD)) if q.tcp else q.truncated()]
    def onlyudp(self, q): return [None if q.tcp else q.truncated()]
    def wrongid(self, q):
        wrong = bytes(255 - octet for octet in q.id)
        return [q.answer(a(q.name, EVIL), id=wrong), (0.1, q.answer(a(q.name, GOOD)))]
    def wrongcase(self, q):
        if q.tcp: return [q.answer(a(q.name, GOOD))]
        return [q.answer(a(q.name, EVIL), section=q.section[:-4].swapcase() + q.section[-4:])]
    def wrongname(self, q):
        section = bytes([q.section[0] - 1]) + q.section[2:]  # without its first letter
        return [q.answer(a(q.name[1:], EVIL), section=section), (0.1, q.answer(a(q.name, GOOD)))]
    def poison(self, q):
        return [q.answer(a(q.name, GOOD), a("plain.test", EVIL), extra=[a("plain.test", EVIL)])]
    def late(self, q):
        return [(2.3, q.answer(a(q.name, EVIL)))] if self.number(q) == 1 else [q.answer(a(q.name, GOOD))]
    def many(self, q):
        if not q.tcp: return [q.truncated()]
        net = socket.inet_pton(socket.AF_INET6, "2001:db8:7::")[:14]
        return [q.answer(*(record(q.name, AAAA, net + struct.pack(">H", 0x70 + i)) for i in range(500)))]
    def service(self, q):
        hint = struct.pack(">2H", 4, 4) + socket.inet_aton(OTHER)
        return [q.answer(record(q.name, HTTPS, b"\0\1" + wire("") + hint))] if q.kind == HTTPS else self.plain(q)
    def servicealias(self, q):
        return [q.answer(record(q.name, HTTPS, b"\0\0" + wire("pool.links.test")))] if q.kind == HTTPS else self.plain(q)
    def pool(self, q): return self.plain(q)
    def mail(self, q): return [q.answer(record(q.name, MX, b"\0\5" + wire("mx.links.test")))] if q.kind == MX else self.plain(q)
    def mx(self, q): return self.plain(q)
    def srv(self, q):
        return [q.answer(record(q.name, SRV, b"\0\5\0\5\1\xbb" + wire("node.links.test")))] if q.kind == SRV else self.plain(q)
    def node(self, q): return self.plain(q)
    def signed(self, q):
        signature = struct.pack(">HBBIIIH", A, 13, 2, 60, 2 ** 31, 1, 1) + wire("test") + bytes(64)
        return [q.answer(a(q.name, GOOD), record(q.name, RRSIG, signature), flags=0x81A0)]
    def slow(self, q): return [(0.3, self.plain(q)[0])]
    def quick(self, q): return self.plain(q)


odd = Odd()


def answers(server, q):
    how = WHOLE.get(server)
    if how == "silent" or how == "lower_udp" and q.tcp: return [None]
    if how in ("servfail", "refused", "formerr"):
        return [q.answer(rcode={"servfail": 2, "refused": 5, "formerr": 1}[how])]
    if how: return [q.answer(a(q.name, GOOD), section=q.section.lower())]
    label = q.name.split(".")[0].rstrip("0123456789") if q.name.startswith(("slow", "quick")) else q.name.split(".")[0]
    method = getattr(odd, label.lstrip("_"), None)
    return method(q) if method else [q.answer(rcode=3)]


sockets = {}
for server in ("73", *WHOLE):
    for tcp in (False, True):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("203.0.113." + server, 53))
        if tcp: s.listen(64)
        sockets[s] = (server, tcp)
later = []
print("ready")


def send(message, to):
    kind, s, address = to
    try:
        if kind == "udp": s.sendto(message, address)
        else: s.sendall(struct.pack(">H", len(message)) + message)
    except OSError: pass


def serve(server, message, to):
    q = Question(message, to[0] == "tcp")
    print(server, to[0], q.name, q.kind)
    for one in answers(server, q):
        if one is None and to[0] == "tcp": to[1].close(); sockets.pop(to[1], None)
        elif isinstance(one, tuple): later.append((time.monotonic() + one[0], one[1], to))
        elif one is not None: send(one, to)


while True:
    now = time.monotonic()
    for one in [one for one in later if one[0] <= now]:
        later.remove(one)
        send(one[1], one[2])
    wait = min((one[0] for one in later), default=now + 60) - now
    for s in select.select(list(sockets), [], [], max(wait, 0))[0]:
        server, tcp = sockets[s]
        if not tcp:
            message, address = s.recvfrom(4096)
            serve(server, message, ("udp", s, address))
        elif tcp is True:
            sockets[s.accept()[0]] = (server, "connection")
        else:
            try: message = s.recv(4096)
            except OSError: message = b""
            if len(message) > 2: serve(server, message[2:], ("tcp", s, None))
            else: sockets.pop(s); s.close()
