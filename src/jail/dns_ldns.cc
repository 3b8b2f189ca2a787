// The only file that knows ldns. Its headers come last: they define `true` and `false`.
#include <memory>

#include "dns_message.h"

#include <ldns/ldns.h>

namespace netjail::dns {

bool ldns_reads(Octets message) {
  ldns_pkt* packet = nullptr;
  const ldns_status status = ldns_wire2pkt(&packet, message.data(), message.size());
  if (status != LDNS_STATUS_OK) return false;  // ldns has freed it
  const std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> owner(packet, &ldns_pkt_free);
  return packet != nullptr;
}

bool ldns_takes_lists(std::uint16_t type) {
  const ldns_rr_descriptor* record = ldns_rr_descript(type);
  return record != nullptr && record->_variable != LDNS_RDF_TYPE_NONE;
}

}  // namespace netjail::dns
