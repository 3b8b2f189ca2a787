// SPEC of --allow and --deny: a destination, services, or both with a colon between.
#include <algorithm>
#include <string>

#include "netjail/base/text.h"
#include "words.h"

namespace netjail {
namespace {

const std::string kForms =
    "forms: 198.51.100.7:443   [2001:db8::1]:53/udp   10.0.0.0/8:ssh   internet:https   443/tcp   any:ping";

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
      if (parts->has_services) read_services(parts->services, rule);
    }
    if (source_.failed()) return std::unexpected(source_.take());
    return rule;
  }

 private:
  // `part` is a stretch of the SPEC.
  void complain(std::string_view part, Mistake mistake) {
    const auto offset = static_cast<std::size_t>(part.data() - spec_.data());
    source_.complain({1, count_columns(spec_.substr(0, offset)) + 1, std::max(1u, count_columns(part))},
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
    if (spec_.find("://") != spec_.npos || spec_.starts_with('@')) return Parts{spec_, {}, true, false};
    if (spec_.starts_with('[')) return take_apart_brackets();
    // Also an IPv6 address, whose last group could be meant as a port only by somebody who left out the
    // brackets.
    if (spec_ == "any" || spec_ == "internet" || parse_prefix(spec_)) return Parts{spec_, {}, true, false};

    const auto first = spec_.find(':'), last = spec_.rfind(':');
    if (first == spec_.npos) {
      const std::string_view piece = split(spec_, ',').front();
      if (all_services(spec_) || !is_destination(piece)) return Parts{{}, spec_, false, true};
      return Parts{spec_, {}, true, false};
    }
    if (first == 0) return Parts{{}, spec_.substr(1), false, true};
    const std::string_view left = spec_.substr(0, first), right = spec_.substr(first + 1);
    if (const auto protocol = read_service(left, services_);
        protocol && first == last && !parse_prefix(left)) {
      // "tcp:443" is a service turned round; "ssh:22" says the same thing twice.
      if (!protocol->front().ports && !right.empty() && right[0] >= '0' && right[0] <= '9')
        return Parts{{}, spec_, false, true};
      return refuse(left,
                    {quote_word(left) + " is a service, not a destination", "internet:" + std::string(left)});
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
    if (word.find('.') != word.npos || word.find('*') != word.npos) return true;
    const std::string small = lower(word);
    const std::vector<std::string> words{"any", "internet", "localhost", "everywhere"};
    return std::ranges::find(words, small) != words.end() ||
           (nearest(word, words).has_value() && !nearest(word, services_.names()).has_value());
  }

  void read_services(std::string_view text, ProfileRule& rule) {
    if (text.empty()) {
      complain(text, {"a service is missing after the ':'", "leave out the ':' for every protocol and port"});
      return;
    }
    for (const auto piece : split(text, ',')) {
      auto services = read_service(piece, services_);
      if (services) {
        rule.services.insert(rule.services.end(), services->begin(), services->end());
        rule.service_texts.emplace_back(piece);
      } else if (!source_.full()) {
        complain(piece, std::move(services).error());
      }
    }
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
