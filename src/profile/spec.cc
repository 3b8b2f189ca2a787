// SPEC of --allow and --deny: a destination, services, or both with a colon between.
#include <algorithm>
#include <string>

#include "netjail/base/text.h"
#include "words.h"

namespace netjail {
namespace {

const std::string kForms =
    "forms: example.org   example.org:22   '*.example.org:443/tcp'   198.51.100.7:443   "
    "[2001:db8::1]:53/udp   10.0.0.0/8:ssh   internet:https   443/tcp   any:ping";

// The parts of a SPEC, as stretches of it. No destination: "internet" is meant.
struct Parts {
  std::string_view destination;
  std::string_view services;
  bool has_destination = false;
  bool has_services = false;
};

class SpecReader {
 public:
  SpecReader(std::string_view spec, Action action, const ServiceTable& services)
      : spec_(spec),
        action_(action),
        services_(services),
        source_(spec, action == Action::allow ? "--allow" : "--deny") {}

  Parsed<ProfileRule> read() {
    ProfileRule rule;
    rule.action = action_;
    rule.where = source_.position({});
    if (const auto binary = find_binary(spec_)) {
      source_.complain({}, {"this is no text that a rule can be", kForms});
    } else if (const auto parts = take_apart()) {
      const std::string_view destination = parts->has_destination ? parts->destination : "internet";
      auto to = read_destination(destination, action_, services_);
      if (to)
        rule.to.push_back(std::move(*to));
      else
        complain(destination, std::move(to).error());
      if (parts->has_services) read_services(*parts, rule);
    }
    if (source_.failed()) return std::unexpected(source_.take());
    return rule;
  }

 private:
  // `part` is a stretch of the SPEC.
  void complain(std::string_view part, Mistake mistake) {
    const auto offset = static_cast<std::size_t>(part.data() - spec_.data());
    source_.complain({1, count_columns(spec_.substr(0, offset)) + 1, std::max(1u, count_columns(part))}, part,
                     std::move(mistake));
  }

  bool all_services(std::string_view text) const {
    return std::ranges::all_of(
        split(text, ','), [&](std::string_view piece) { return read_service(piece, services_).has_value(); });
  }

  std::optional<Parts> refuse(std::string_view part, Mistake mistake) {
    complain(part, std::move(mistake));
    return std::nullopt;
  }

  std::optional<Parts> take_apart() {
    if (spec_.empty()) return refuse(spec_, {"this rule is empty", kForms});
    if (trim(spec_) != spec_)
      return refuse(spec_, {"this rule has blanks around it", std::string(trim(spec_))});
    if (spec_.starts_with('@')) {
      const auto colon = spec_.find(':');
      if (colon == spec_.npos) return Parts{spec_, {}, true, false};
      return Parts{spec_.substr(0, colon), spec_.substr(colon + 1), true, true};
    }
    if (const auto remote = find_remote(spec_, services_)) return refuse(spec_, explain_remote(*remote));
    if (const auto at = spec_.find_first_of(" \t;"); at != spec_.npos)
      return refuse(spec_, explain_list(spec_.substr(0, at), trim(spec_.substr(at + 1))));
    if (spec_.starts_with('[')) return take_apart_brackets();
    // Also an IPv6 address, whose last group could be meant as a port only by somebody who left out the
    // brackets.
    if (spec_ == "any" || spec_ == "internet" || parse_prefix(spec_)) return Parts{spec_, {}, true, false};

    const auto first = spec_.find(':'), last = spec_.rfind(':');
    if (first == spec_.npos) {
      const std::string_view piece = split(spec_, ',').front();
      if (all_services(spec_) || !is_destination(piece)) return Parts{{}, spec_, false, true};
      if (piece.size() < spec_.size())
        return refuse(spec_, explain_list(piece, spec_.substr(piece.size() + 1)));
      return Parts{spec_, {}, true, false};
    }
    if (first == 0) return Parts{{}, spec_.substr(1), false, true};
    const std::string_view left = spec_.substr(0, first), right = spec_.substr(first + 1);
    if (is_service_word(left) && first == last && !parse_prefix(left)) {
      const auto protocol = read_service(left, services_);
      // "tcp:443" is a service turned round; "ssh:22" says the same thing twice.
      if (protocol && !protocol->front().ports && !right.empty() && right[0] >= '0' && right[0] <= '9')
        return Parts{{}, spec_, false, true};
      std::string meant = "internet:" + std::string(left);
      if (const std::string name = std::string(left) + '.'; read_destination(name, action_, services_))
        meant += "; a host of this name is " + name + (right.empty() ? "" : ':' + std::string(right));
      return refuse(left, {quote_word(left) + " is a service, not a destination", std::move(meant)});
    }
    if (first == last || !is_ipv6(spec_.substr(0, spec_.find('/')))) return Parts{left, right, true, true};
    // Two colons and more: IPv6 without brackets.
    const std::string_view address = spec_.substr(0, last);
    if (parse_prefix(address) && spec_.find(":::") == spec_.npos)
      return refuse(spec_, {"an IPv6 address with a service needs brackets",
                            '[' + std::string(address) + "]:" + std::string(spec_.substr(last + 1))});
    return Parts{spec_, {}, true, false};
  }

  // [ADDRESS], [ADDRESS/LENGTH], [ADDRESS]:SERVICES
  std::optional<Parts> take_apart_brackets() {
    const auto close = spec_.find(']');
    if (close == spec_.npos) return refuse(spec_, {"the bracket is not closed", "[2001:db8::1]:443"});
    const std::string_view address = spec_.substr(1, close - 1), rest = spec_.substr(close + 1);
    if (address.find(':') == address.npos)
      return refuse(spec_.substr(0, close + 1),
                    {"brackets are for IPv6 addresses", std::string(address) + std::string(rest)});
    if (rest.starts_with('/')) {
      const auto colon = std::min(rest.find(':'), rest.size());
      return refuse(rest, {"the prefix length stands inside the brackets",
                           '[' + std::string(address) + std::string(rest.substr(0, colon)) + ']' +
                               std::string(rest.substr(colon))});
    }
    if (rest.empty()) return Parts{address, {}, true, false};
    if (rest.front() != ':')
      return refuse(rest, {"a ':' and a service can follow the bracket, nothing else", kForms});
    return Parts{address, rest.substr(1), true, true};
  }

  // What a URL or user@host:path says, as a SPEC.
  Mistake explain_remote(const Remote& remote) const {
    if (!read_destination(remote.host, action_, services_))
      return {remote.what, "only the host is a destination, here " + quote_word(remote.host)};
    std::string meant = remote.host;
    const bool ipv6 = meant.find(':') != meant.npos;
    if (!remote.service.empty())
      meant = (ipv6 ? '[' + meant + ']' : meant) + ':' + remote.service;
    else if (!ipv6 && meant.find('.') == meant.npos)
      meant += '.';  // without it a service
    return {remote.what, std::move(meant)};
  }

  Mistake explain_list(std::string_view one, std::string_view rest) const {
    const std::string option = action_ == Action::allow ? "--allow " : "--deny ";
    return {
        quote_word(spec_) + " is more than one rule",
        "give each an option of its own: " + option + std::string(one) + ' ' + option + std::string(rest)};
  }

  // Digits, letters and colons only, as no name or service is.
  static bool is_ipv6(std::string_view text) {
    return std::ranges::all_of(text.substr(0, text.rfind(':')), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
             c == '.';
    });
  }

  // A word without a colon that is no service: was it meant as a destination?
  bool is_destination(std::string_view word) const {
    if (looks_like_ipv4(word) || parse_ip(word.substr(0, word.find('/')))) return true;
    // No service has such a character.
    if (std::ranges::any_of(word, [](char c) { return c == '.' || c == '*' || (c & 0x80) != 0; }))
      return true;
    const std::string small = lower(word);
    const std::vector<std::string> words{"any", "internet", "localhost", "everywhere"};
    return std::ranges::find(words, small) != words.end() ||
           (nearest(word, words).has_value() && !nearest(word, services_.names()).has_value());
  }

  void read_services(const Parts& parts, ProfileRule& rule) {
    const std::string_view text = parts.services;
    if (text.empty()) {
      const bool name = !rule.to.empty() && rule.to[0].kind == Destination::Kind::name;
      complain(text, {"a service is missing after the ':'",
                      name && action_ == Action::allow
                          ? "leave out the ':' for the web: 443/tcp, 443/udp and 80/tcp"
                          : "leave out the ':' for every protocol and port"});
      return;
    }
    for (const auto piece : split(text, ',')) {
      auto services = read_service(piece, services_);
      if (services) {
        rule.services.insert(rule.services.end(), services->begin(), services->end());
        rule.service_texts.emplace_back(piece);
      } else if (!source_.full()) {
        complain(piece, explain_service(piece, parts, std::move(services).error()));
      }
    }
  }

  // A service that is none, and perhaps was meant as a name.
  Mistake explain_service(std::string_view piece, const Parts& parts, Mistake mistake) const {
    const auto at = static_cast<std::size_t>(piece.data() - spec_.data());
    if (piece.data() != parts.services.data() && piece.find('.') != piece.npos)
      return explain_list(spec_.substr(0, at - 1), spec_.substr(at));
    if (!parts.has_destination && piece.size() == spec_.size() && read_destination(piece, action_, services_))
      mistake.suggestion += "; a host of this name is " + std::string(piece) + '.';
    return mistake;
  }

  std::string_view spec_;
  Action action_;
  const ServiceTable& services_;
  Source source_;
};

}  // namespace

Parsed<ProfileRule> parse_spec(std::string_view spec, Action action, const ServiceTable& services) {
  return SpecReader(spec, action, services).read();
}

}  // namespace netjail
