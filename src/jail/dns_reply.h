// How large make_reply's message gets (dns_answer.h); for read_answer, which keeps to what can be sent.
#pragma once

#include "dns_answer.h"

namespace netjail::dns {

inline constexpr std::size_t kSoaNumbers = 20;  // octets behind the two names of an SOA's data

// Octets of the reply that tells all of `answer`, with EDNS.
std::size_t largest_reply(const Answer& answer);

}  // namespace netjail::dns
