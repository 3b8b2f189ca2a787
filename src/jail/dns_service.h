// HTTPS and SVCB records (RFC 9460): where a service is, with addresses ("hints") that a client may use
// without asking for them. Pure.
#pragma once

#include <functional>

#include "dns_wire.h"
#include "netjail/net/ip.h"

namespace netjail::dns {

// True for an address that may be told and opened. What stands inside an IPv6 address (embedded_ipv4) is
// judged as well by those who take one of these.
using Permitted = std::function<bool(const Ip&)>;
// `ip`, and the IPv4 address inside it, by `permitted`.
bool passes(const Ip& ip, const Permitted& permitted);

struct Extent {
  std::size_t offset = 0;
  std::size_t size = 0;  // octets
  bool operator==(const Extent&) const = default;
};

struct Service {
  std::uint16_t priority = 0;         // 0: AliasMode, the target is another name for the service
  Name target;                        // the root: the record's own name; in AliasMode: there is no service
  std::optional<std::uint16_t> port;  // where it is not the usual one
  std::vector<Ip> hints;              // ipv4hint and ipv6hint
  std::optional<Extent> ech;          // in `parameters`: key, length and value
  Data parameters;                    // as on the wire; empty in AliasMode, where they mean nothing

  bool operator==(const Service&) const = default;
};

// From the data of one record. Nothing when a client would have to take it for malformed (RFC 9460 sections
// 2.2 and 8), and with it all records of the name and type.
std::optional<Service> read_service(Octets data);
Data make_service_data(const Service& service);

enum class Ech : std::uint8_t { keep, strip };
// `service` without the hints that do not pass (which are appended to `refused`), and without ECH when it is
// to be stripped. A parameter whose last address goes, goes. Nothing when one goes that is mandatory.
std::optional<Service> filter_service(const Service& service, const Permitted& permitted, Ech ech,
                                      std::vector<Ip>& refused);

}  // namespace netjail::dns
