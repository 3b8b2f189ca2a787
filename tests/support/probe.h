// netjail-probe: what a program in a jail tries, one attempt per run. It prints one line
//   WHAT ARGUMENTS: RESULT MILLISECONDSms
// where RESULT is "ok" with details or the name of the error (ECONNREFUSED), and ends with 0 or 1; 2 for a
// usage error. Static, without libnetjail: it shares no mistake with what it tests.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace probe {

using Arguments = std::vector<std::string>;

struct Result {
  std::string text = "ok";
  bool good = true;
};
Result good(const std::string& details = {});
Result bad(const std::string& reason);
Result bad_errno();  // the name of errno

inline constexpr int kTimeoutMs = 3000;

// probe_network.cc
Result connect_tcp(const Arguments& arguments);  // ADDRESS PORT
Result echo_tcp(const Arguments& arguments);     // ADDRESS PORT: connects, sends, reads it back
Result hold_tcp(const Arguments& arguments);    // ADDRESS PORT: an echo per line of stdin over one connection
Result echo_udp(const Arguments& arguments);    // ADDRESS PORT
Result ping(const Arguments& arguments);        // ADDRESS
Result fetch_http(const Arguments& arguments);  // ADDRESS PORT PATH
Result spoof_udp(const Arguments& arguments);   // SOURCE DESTINATION PORT: a raw IPv4 datagram
Result listen_tcp(const Arguments& arguments);  // ADDRESS PORT: prints "ready", echoes one connection
Result connect_unix(const Arguments& arguments);  // PATH, or @NAME for an abstract socket

// probe_dns.cc
Result ask_dns(const Arguments& arguments);  // NAME TYPE [udp|tcp [SERVER]]

// probe_self.cc
Result show_families(const Arguments& arguments);     // which socket families can be opened
Result show_descriptors(const Arguments& arguments);  // "fds": number=target
Result show_identity(const Arguments& arguments);     // "ids": /proc/self/status, session
Result read_stdin(const Arguments& arguments);        // octets and beginning of stdin

}  // namespace probe
