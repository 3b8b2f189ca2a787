// ldns's headers come last: they define `true` and `false`.
#include "dns_scan.h"

#include <memory>

#include <ldns/ldns.h>

namespace netjail::test {
namespace {

using Octets = std::span<const std::uint8_t>;

void take(std::vector<Ip>& found, Family family, Octets octets) {
  for (; octets.size() >= address_size(family); octets = octets.subspan(address_size(family)))
    found.push_back(make_ip(family, octets));
}

std::size_t number(Octets data, std::size_t at) {
  return static_cast<std::size_t>(data[at] << 8 | data[at + 1]);
}

// The values of keys 4 and 6, from the first octet that can be a parameter.
void take_hints(std::vector<Ip>& found, Octets data) {
  std::size_t at = 2;
  while (at < data.size() && data[at] != 0) at += 1U + data[at];
  for (++at; at + 4 <= data.size(); at += 4 + number(data, at + 2)) {
    const std::size_t size = number(data, at + 2);
    if (at + 4 + size > data.size()) return;
    if (number(data, at) == 4) take(found, Family::ipv4, data.subspan(at + 4, size));
    if (number(data, at) == 6) take(found, Family::ipv6, data.subspan(at + 4, size));
  }
}

}  // namespace

std::optional<std::vector<Ip>> scan_addresses(Octets message) {
  ldns_pkt* packet = nullptr;
  if (ldns_wire2pkt(&packet, message.data(), message.size()) != LDNS_STATUS_OK) return std::nullopt;
  const std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> owner(packet, &ldns_pkt_free);
  std::vector<Ip> found;
  for (const ldns_rr_list* list :
       {ldns_pkt_answer(packet), ldns_pkt_authority(packet), ldns_pkt_additional(packet)}) {
    for (std::size_t index = 0; index < ldns_rr_list_rr_count(list); ++index) {
      const ldns_rr* record = ldns_rr_list_rr(list, index);
      std::vector<std::uint8_t> data;
      for (std::size_t field = 0; field < ldns_rr_rd_count(record); ++field) {
        const ldns_rdf* part = ldns_rr_rdf(record, field);
        data.insert(data.end(), ldns_rdf_data(part), ldns_rdf_data(part) + ldns_rdf_size(part));
      }
      switch (static_cast<int>(ldns_rr_get_type(record))) {
        case 1: take(found, Family::ipv4, data); break;
        case 28: take(found, Family::ipv6, data); break;
        case 64:
        case 65: take_hints(found, data); break;
        default: break;
      }
    }
  }
  return found;
}

}  // namespace netjail::test
