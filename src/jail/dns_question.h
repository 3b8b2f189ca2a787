// The question that goes upstream when rules name names: made anew from a name and a type, so that nothing
// else of a client's message leaves the machine: not its id, flags, spelling, EDNS options or padding.
//
// What it asks for: recursion (RD), neither DNSSEC records (DO) nor unchecked ones (CD), no word on whether
// the server has checked (AD). A server that validates then answers SERVFAIL for a forged name, which is what
// protects the jail; signatures would be of no use to a client, because they do not fit an answer from which
// records have been taken.
#pragma once

#include <array>
#include <string_view>

#include "dns_message.h"

namespace netjail::dns {

// RFC 6891 section 6.2.5 and the DNS flag day of 2020: what passes every path unfragmented.
inline constexpr std::uint16_t kOwnUdpSize = 1232;

// The types that a client may ask for (DESIGN.md section 3): A, AAAA, CNAME, HTTPS, SVCB, MX, SRV, TXT, PTR.
bool may_ask(std::uint16_t type);
// "AAAA", or "TYPE65400" (RFC 3597); the type of a word of may_ask, in capitals.
std::string type_name(std::uint16_t type);
std::optional<std::uint16_t> parse_type(std::string_view word);

// As read_query, and REFUSED for another class than IN and for a type that nobody may ask for. Options of the
// client's OPT are no error: they just end here.
Query check_question(Octets message);

// A bit for each octet of a name, to be drawn at random for every question.
using CaseBits = std::array<std::uint8_t, (kMaxName + 7) / 8>;

// A question of class IN with our OPT and without options. Letters are upper case where their bit is set
// (draft-vixie-dnsext-dns0x20): a forger must guess them too.
Data make_question(const Name& name, std::uint16_t type, std::uint16_t id, const CaseBits& bits);

// Whether an answer has the question's name as `query` of make_question spells it. Asked before match_answer,
// which writes that spelling into it. Some servers do not keep the case: an answer that fails here only may
// be asked for again over TCP, where nobody can forge it.
bool repeats_spelling(Octets answer, Octets query, const Question& question);

}  // namespace netjail::dns
