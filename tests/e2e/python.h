// A client in python with a resolver of its own, for cases about what a jail's resolver answers and opens.
#pragma once

#include "e2e/fixture.h"

namespace netjail::test {

// `python` under these rules; `net` is there to try things with.
inline Outcome python(const Words& options, const std::string& text,
                      std::chrono::milliseconds deadline = 60s) {
  static int count = 0;
  const std::string script = world().write("names-" + std::to_string(++count) + ".py", R"(
import socket, struct, sys, time
def ask(name, kind=1):
    'rcode and addresses, of the jail\'s resolver'
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    wire = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0'
    s.sendto(struct.pack('>6H', 77, 0x100, 1, 0, 0, 0) + wire + struct.pack('>2H', kind, 1), ('127.0.0.1', 53))
    answer = s.recv(65535)
    found, at = [], 12 + len(wire) + 4
    for _ in range(struct.unpack('>H', answer[6:8])[0]):
        while answer[at] and answer[at] < 192: at += answer[at] + 1
        at += 2 if answer[at] >= 192 else 1
        rtype, _, _, size = struct.unpack('>2HIH', answer[at:at + 10])
        data = answer[at + 10:at + 10 + size]
        at += 10 + size
        if rtype == 1: found.append(socket.inet_ntop(socket.AF_INET, data))
        if rtype == 28: found.append(socket.inet_ntop(socket.AF_INET6, data))
    return answer[3] & 15, found
def connect(address, port):
    'what becomes of a connection'
    try:
        socket.create_connection((address, port), 5).close()
        return 'open'
    except TimeoutError: return 'silence'
    except OSError as error: return 'refused' if error.errno in (111, 113, 101) else str(error)
)" + text);
  Words arguments{"run"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"--", "python3", script});
  return world().run({.argv = netjail_command(arguments), .deadline = deadline});
}

}  // namespace netjail::test
