# Frames that no program in a jail can make (it has no raw socket), sent by somebody with the capability into the
# jail's link; and a listener that tells which of them came. Each carries the mark "NJ<name>" in its payload.
#   packets.py send LINK SOURCE4 SOURCE6 [PLAIN]      all, or those that are allowed
#   packets.py listen LINK                            until its input ends; prints the names
import re, select, socket, struct, sys

ALLOWED, ALLOWED6 = '198.51.100.10', '2001:db8:1::10'  # to port 7/udp and 443/tcp
OTHER, OTHER6 = '203.0.113.10', '2001:db8:2::10'       # refused
HOST, HOST6 = '198.51.100.2', '2001:db8:1::2'

def a4(text): return socket.inet_pton(socket.AF_INET, text)
def a6(text): return socket.inet_pton(socket.AF_INET6, text)

def checksum(data):
    if len(data) % 2: data += b'\0'
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def pseudo(source, to, protocol, data):
    if len(to) == 4: return source + to + struct.pack('!BBH', 0, protocol, len(data))
    return source + to + struct.pack('!IHBB', len(data), 0, 0, protocol)

def ip(source, to, protocol, data, options=b'', fragment=0, ident=1, ttl=64):
    'an IPv4 or IPv6 packet'
    if len(to) == 4:
        head = struct.pack('!BBHHHBBH', 0x45 + len(options) // 4, 0, 20 + len(options) + len(data), ident, fragment,
                           ttl, protocol, 0) + source + to + options
        return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + data
    return struct.pack('!IHBB', 6 << 28, len(data), protocol, ttl) + source + to + data

def udp(source, to, port, mark):
    head = struct.pack('!HHHH', 40000, port, 8 + len(mark), 0)
    return head[:6] + struct.pack('!H', checksum(pseudo(source, to, 17, head + mark) + head + mark) or 0xffff) + mark

def tcp(source, to, port, flags, mark, options=b''):
    head = struct.pack('!HHIIBBHHH', 40001, port, 1000, 2000, (5 + len(options) // 4) << 4, flags, 8192, 0, 0) + options
    return head[:16] + struct.pack('!H', checksum(pseudo(source, to, 6, head + mark) + head + mark)) + head[18:] + mark

def icmp(source, to, kind, code, body):
    data = struct.pack('!BBH', kind, code, 0) + body
    return data[:2] + struct.pack('!H', checksum((pseudo(source, to, 58, data) if len(to) == 16 else b'') + data)) + data[4:]

def frames(mac, s4, s6):
    'name -> frame'
    out = {}
    def ether(name, kind, packet): out[name] = mac + mac + struct.pack('!H', kind) + packet
    def put(name, packet): ether(name, 0x0800 if packet[0] >> 4 == 4 else 0x86dd, packet)
    def mark(name): return b'NJ<' + name.encode() + b'>'
    def each(name, make):
        'of both families: source, allowed, other'
        put(name + '-4', make(s4, a4(ALLOWED), a4(OTHER), mark(name + '-4')))
        put(name + '-6', make(s6, a6(ALLOWED6), a6(OTHER6), mark(name + '-6')))
    def to(name, address, protocol=17, port=7):
        'to one destination, whatever it is'
        there = a6(address) if ':' in address else a4(address)
        source = s6 if ':' in address else s4
        put(name, ip(source, there, 17, udp(source, there, port, mark(name))))

    each('plain', lambda s, to, no, m: ip(s, to, 17, udp(s, to, 7, m)))
    each('plain-tcp', lambda s, to, no, m: ip(s, to, 6, tcp(s, to, 443, 2, m)))

    # sources that are not the jail's, to what is open
    for name, source, there in (('spoof-other', '198.51.100.77', ALLOWED), ('spoof-host', HOST, ALLOWED),
                                ('spoof-loopback', '127.0.0.1', ALLOWED), ('spoof-zero', '0.0.0.0', ALLOWED),
                                ('spoof-broadcast', '255.255.255.255', ALLOWED),
                                ('spoof-other6', '2001:db8:1::77', ALLOWED6), ('spoof-host6', HOST6, ALLOWED6),
                                ('spoof-link6', 'fe80::77', ALLOWED6)):
        pack = a6 if ':' in source else a4
        put(name, ip(pack(source), pack(there), 17, udp(pack(source), pack(there), 7, mark(name))))

    # what is open, as a station on the way to what is not
    for name, option in (('loose', 0x83), ('strict', 0x89), ('record', 0x07)):
        put(name, ip(s4, a4(ALLOWED), 17, udp(s4, a4(ALLOWED), 7, mark(name)),
                     struct.pack('!BBB', option, 7, 4) + a4(OTHER) + b'\0'))
    for kind in (0, 2, 4):
        name = f'routing{kind}'
        header = struct.pack('!BBBB', 17, 2, kind, 1) + bytes(4) + a6(OTHER6)
        put(name, ip(s6, a6(ALLOWED6), 43, header + udp(s6, a6(ALLOWED6), 7, mark(name))))
    header = struct.pack('!BB', 43, 0) + b'\1\4\0\0\0\0' + struct.pack('!BBBB', 17, 2, 0, 1) + bytes(4) + a6(OTHER6)
    put('routing-behind', ip(s6, a6(ALLOWED6), 60, header + udp(s6, a6(ALLOWED6), 7, mark('routing-behind'))))

    # ports and flags that are shut
    each('port', lambda s, to, no, m: ip(s, to, 17, udp(s, to, 53, m)))
    for name, flags in (('syn-data', 2), ('ack', 16), ('push', 24), ('rst', 4), ('fin', 1), ('null', 0),
                        ('xmas', 41), ('syn-ack', 18)):
        each(name + '-port', lambda s, to, no, m: ip(s, to, 6, tcp(s, to, 22, flags, m)))
        each(name + '-other', lambda s, to, no, m: ip(s, no, 6, tcp(s, no, 443, flags, m)))
    # Fast Open: a cookie, and data with the SYN
    each('fast-open', lambda s, to, no, m: ip(s, no, 6, tcp(s, no, 443, 2, m, b'\x22\x0a12345678\1\1')))

    # behind extension headers
    for name, number in (('hop', 0), ('destination', 60)):
        put(name + '-port', ip(s6, a6(ALLOWED6), number, b'\x11\0\1\4\0\0\0\0' +
                               udp(s6, a6(ALLOWED6), 53, mark(name + '-port'))))
        put(name + '-other', ip(s6, a6(OTHER6), number, b'\x11\0\1\4\0\0\0\0' +
                                udp(s6, a6(OTHER6), 7, mark(name + '-other'))))
    put('jumbo', ip(s6, a6(ALLOWED6), 0, b'\x11\0\xc2\4\0\1\0\0' + udp(s6, a6(ALLOWED6), 53, mark('jumbo'))))

    # fragments
    def pieces(name, whole, cuts, protocol, ident):
        'the octets from..to of a packet, as fragments of it'
        for i, (start, end) in enumerate(cuts):
            last = end >= len(whole)
            put(f'{name}{i}', ip(s4, a4(ALLOWED), protocol, whole[start:end], b'', start // 8 | (0 if last else 0x2000), ident))
            head = struct.pack('!BBHI', protocol, 0, start | (0 if last else 1), ident)
            put(f'{name}6{i}', ip(s6, a6(ALLOWED6), 44, head + whole[start:end]))
    m = mark('tiny') * 8
    pieces('tiny', tcp(s4, a4(ALLOWED), 22, 24, m), ((0, 8), (8, 16), (16, 4096)), 6, 77)
    pieces('tail', udp(s4, a4(ALLOWED), 7, mark('tail') * 8), ((16, 4096),), 17, 78)
    whole = udp(s4, a4(ALLOWED), 7, mark('overlap') * 8)
    shut = udp(s4, a4(ALLOWED), 53, mark('overlap') * 8)
    pieces('overlap', whole, ((0, 24),), 17, 79)
    pieces('overlapped', shut, ((0, 24), (16, 4096)), 17, 79)
    pieces('split', udp(s4, a4(ALLOWED), 53, mark('split') * 8), ((0, 24), (24, 4096)), 17, 80)

    # protocols without a rule: tunnels among them, with an allowed datagram inside
    for number in (2, 4, 41, 46, 47, 50, 51, 89, 97, 103, 112, 115, 132, 136, 137, 253, 255):
        each(f'protocol{number}', lambda s, to, no, m: ip(s, to, number, ip(s, to, 17, udp(s, to, 7, m)) if number in (4, 41)
                                                      else b'\0\0\x08\0' + m if number == 47 else m * 4))

    # ICMP: payload, errors about nothing, errors about an admitted flow, redirects, discovery
    about = ip(a4(ALLOWED), s4, 17, struct.pack('!HHHH', 7, 40000, 30, 0))
    about6 = ip(a6(ALLOWED6), s6, 17, struct.pack('!HHHH', 7, 40000, 30, 0))
    for name, there in (('allowed', ALLOWED), ('other', OTHER), ('host', HOST)):
        for kind in (0, 3, 4, 5, 8, 11, 12, 13, 17):
            n = f'icmp{kind}-{name}'
            put(n, ip(s4, a4(there), 1, icmp(s4, a4(there), kind, 1, bytes(4) + (about if kind in (3, 4, 5, 11, 12) else b'') + mark(n))))
    for name, there in (('allowed', ALLOWED6), ('other', OTHER6), ('host', HOST6)):
        for kind in (1, 2, 3, 4, 128, 129):
            n = f'icmp6-{kind}-{name}'
            put(n, ip(s6, a6(there), 58, icmp(s6, a6(there), kind, 0, bytes(4) + (about6 if kind < 5 else b'') + mark(n))))
    for kind, body in ((130, bytes(4) + bytes(16)), (131, bytes(4) + a6('ff02::99')), (133, bytes(4)),
                       (134, struct.pack('!BBHII', 64, 0, 1800, 0, 0) + b'\3\4\x40\xc0' + struct.pack('!III', 3600, 3600, 0) + a6('2001:db8:66::')),
                       (135, bytes(4) + a6(HOST6)), (136, b'\xa0\0\0\0' + a6(HOST6) + b'\2\1' + mac),
                       (137, bytes(4) + s6 + a6(OTHER6)), (143, bytes(4))):
        for name, source, there in (('all', s6, 'ff02::1'), ('routers', s6, 'ff02::2'), ('host', s6, HOST6),
                                    ('link', a6('fe80::77'), 'ff02::1')):
            n = f'nd{kind}-{name}'
            put(n, ip(source, a6(there), 58, icmp(source, a6(there), kind, 0, body + mark(n)), ttl=255))

    # destinations that nobody has, that everybody has, that are the host's or the local network's
    for address in ('0.0.0.0', '0.1.2.3', '127.0.0.1', '127.8.8.8', '169.254.1.1', '169.254.169.254', '192.168.77.10',
                    '10.77.0.10', '172.16.77.10', '100.64.77.10', '192.0.0.1', '192.0.0.2', '198.18.0.1', '224.0.0.1',
                    '224.0.0.251', '239.255.255.250', '232.1.1.1', '240.0.0.1', '255.255.255.255', '198.51.100.255',
                    '198.51.100.2', '198.51.100.0', '192.168.77.2', '10.192.0.1', '10.192.0.2', '203.0.113.10',
                    '::', '::1', 'fe80::1', 'ff02::1', 'ff02::fb', 'ff05::2', 'ff0e::1', 'fd77::10', 'fd77::2',
                    '::ffff:198.51.100.10', '64:ff9b::c633:640a', '2002:c633:640a::1', '100::1', '2001:db8:1::2',
                    '2001:db8:1::', 'fd6e:6a00:6e6a::1', '2001:db8:2::10'):
        to('to-' + address, address)

    # no Internet protocol at all, or in a wrapper
    inner = ip(s4, a4(ALLOWED), 17, udp(s4, a4(ALLOWED), 7, mark('vlan')))
    ether('vlan', 0x8100, struct.pack('!HH', 5, 0x0800) + inner)
    ether('qinq', 0x88a8, struct.pack('!HHHH', 5, 0x8100, 6, 0x0800) + inner.replace(b'<vlan>', b'<qinq>'))
    ether('arp', 0x0806, struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1) + mac + a4(HOST) + bytes(6) + a4(HOST) + mark('arp'))
    for kind in (0x0027, 0x8847, 0x8863, 0x8864, 0x88cc, 0x88e5, 0x88f7, 0x9000, 0x22f0):
        ether(f'ether{kind:04x}', kind, mark(f'ether{kind:04x}') * 8)
    # addressed to other link-layer addresses
    for name, address in (('mac-other', b'\2\0\0\0\0\x66'), ('mac-broadcast', b'\xff' * 6)):
        out[name] = address + mac + b'\x08\0' + ip(s4, a4(OTHER), 17, udp(s4, a4(OTHER), 7, mark(name)))
    return out

def send(link, source4, source6, only=''):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((link, 0))
    mac = s.getsockname()[4]
    marks = set()
    for name, frame in frames(mac, a4(source4), a6(source6)).items():
        if name.startswith('plain') != (only == 'PLAIN'): continue
        try:
            s.send(frame)
            marks.update(re.findall(rb'NJ<([^>]+)>', frame))
        except OSError as error:
            print(name, error)
    print('sent', len(marks), flush=True)

def listen(link):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    s.bind((link, 3))
    print('listening', flush=True)
    seen = {}
    while True:
        ready = select.select([s, sys.stdin], [], [])[0]
        if s in ready:
            frame, where = s.recvfrom(65536)
            if where[2] != socket.PACKET_OUTGOING:
                for name in re.findall(rb'NJ<([^>]+)>', frame): seen[name.decode()] = 1
        elif sys.stdin in ready and not sys.stdin.readline(): break
    print('came:', *sorted(seen), flush=True)

{'send': send, 'listen': listen}[sys.argv[1]](*sys.argv[2:])
