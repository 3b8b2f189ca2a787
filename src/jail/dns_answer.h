// What a DNS answer teaches, and what of it may be passed on. Pure: octets → Answer → octets.
//
//   match_answer(octets)       a response to our question, well-formed by two parsers
//   read_answer(octets)        → Answer: the names from the one asked to the one that has the records
//                                (CNAME, RFC 1034 section 3.6.2), and that name's records of the type asked
//   filter_answer(Answer)      → the Answer without the addresses that may not be told
//   make_reply(Answer)         → octets for the client, encoded anew
//
// An Answer is all that passes: records of other names (poison), of other types and classes, glue, referrals,
// signatures and EDNS options are not in it. What is in it stands in one form only, so that
// read_answer(make_reply(x)) == x.
//
// DNSSEC records are dropped and AD is never set: signatures do not fit an answer from which records have
// been taken, and whether the way from the server is safe enough to repeat its AD is not known here. The
// server does the checking: our questions have no CD.
#pragma once

#include <expected>

#include "dns_message.h"
#include "dns_service.h"

namespace netjail::dns {

inline constexpr std::size_t kMaxLinks = 16;             // of a chain of aliases; real ones have up to five
inline constexpr std::size_t kMaxRecords = 1024;         // in the answer section
inline constexpr std::uint32_t kMaxTtl = 86400;          // seconds
inline constexpr std::uint32_t kMaxNegativeTtl = 10800;  // seconds (RFC 2308 section 5)

// Why an answer teaches nothing; its client gets SERVFAIL.
enum class Flaw : std::uint8_t {
  failure,        // its rcode is neither NOERROR nor NXDOMAIN
  malformed,      // a name, a record or its data
  loop,           // the aliases lead back
  too_many,       // more than kMaxLinks aliases or kMaxRecords records
  contradiction,  // two aliases of one name, or NXDOMAIN with records
  false_alias,    // a DNAME without the CNAME that follows from it (RFC 6672 section 3.1), or another
  too_large,      // could not be encoded in kMaxMessage octets
};

// The SOA record that says how long a negative answer may be kept (RFC 2308).
struct Authority {
  Name owner;
  Data data;
  bool operator==(const Authority&) const = default;
};

struct Answer {
  Rcode rcode = Rcode::none;  // or name_error; server_failure where there is no answer
  bool truncated = false;     // asked over UDP, must be asked over TCP; teaches nothing
  // Seconds, one for all records: the shortest of the aliases and the records (RFC 2181 section 5.2), so that
  // no part is kept longer than the whole. Of a negative answer, that of the SOA. 0 when there is no record.
  std::uint32_t ttl = 0;
  std::vector<Name> chain;  // from the name asked to the one that the records are of; never empty
  // Of the type asked, one of these is filled.
  std::vector<Ip> addresses;      // A, AAAA
  std::vector<Service> services;  // HTTPS, SVCB
  std::vector<Data> records;      // the data of another type, names in it uncompressed
  std::optional<Authority> authority;

  bool operator==(const Answer&) const = default;
  bool negative() const { return addresses.empty() && services.empty() && records.empty(); }
};

// `message` of match_answer, to a question that check_question lets through.
std::expected<Answer, Flaw> read_answer(Octets message, const Question& question);

struct Filtered {
  Answer answer;
  std::vector<Ip> refused;  // addresses and hints that were taken out
  // Nothing is left of what there was. The reply then is NOERROR without records (and without an SOA, so that
  // nobody keeps it) and says "Blocked" (RFC 8914) if its client knows EDNS. Not NXDOMAIN: that would deny
  // the name's other types too, as the public AAAA of a name with a local A. Not REFUSED: clients ask the
  // next server then, and report a temporary failure.
  bool blocked = false;
};
Filtered filter_answer(Answer answer, const Permitted& permitted, Ech ech);

// The addresses that the answer tells, as such or as hints, each once, in order of their values: those that
// must be open before the reply leaves.
std::vector<Ip> told_addresses(const Answer& answer);

// `filtered` as the reply to a client's `query`: its id, RD, CD, spelling and, if it had one, an OPT of our
// own. `question` is that of the query, which asks for the first name of the chain.
Data make_reply(const Filtered& filtered, Octets query, const Question& question);

}  // namespace netjail::dns
