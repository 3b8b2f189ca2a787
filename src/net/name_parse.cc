// Reads a pattern of names as people write it. Whatever is no pattern is explained.
#include <algorithm>
#include <array>
#include <utility>

#include "idna.h"
#include "name_octets.h"
#include "netjail/base/text.h"
#include "netjail/net/ip.h"
#include "netjail/net/name.h"

namespace netjail {
namespace {

constexpr std::size_t kMaxText = 1024;  // no name in UTF-8 comes near; bounds what libidn2 is given
const std::string kExample = "give a name, such as \"example.com\" or \"*.example.com\"";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
}

// Octets of the dot that `text` begins with: the ASCII one and those of UTS 46 (2.3).
std::size_t dot_size(std::string_view text) {
  if (text.starts_with('.')) return 1;
  for (const std::string_view dot : {"\u3002", "\uff0e", "\uff61"})
    if (text.starts_with(dot)) return dot.size();
  return 0;
}

// Cuts the first label off `text`. The dot goes too; `text` becomes a null view when there was none.
std::string_view take_label(std::string_view& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const std::size_t size = dot_size(text.substr(i)); size != 0)
      return std::exchange(text, text.substr(i + size)).substr(0, i);
  }
  return std::exchange(text, std::string_view());
}

// A label in the form of a Name, or what is wrong with it.
Label read_label(std::string_view label) {
  Label result = lower(label);
  const auto no_label = [&](const std::string& why) {
    return std::unexpected(quote_word(label) + " is no international label: " + why);
  };
  if (!is_ascii(label)) {
    result = to_a_label(label);
    if (!result) return no_label(result.error());
    // Characters that are never seen, such as a soft hyphen, stand for nothing.
    if (result->empty() || !std::ranges::all_of(*result, is_name_letter))
      return no_label("it stands for " + quote_word(*result));
  }
  if (result->size() > kMaxLabel)
    return std::unexpected(quote_word(label) + " has " + std::to_string(result->size()) +
                           " octets: between dots there are at most 63");
  if (result->starts_with('-') || result->ends_with('-'))
    return std::unexpected("a '-' stands at an end of " + quote_word(label));
  if (result->starts_with(kAcePrefix)) {
    if (const auto readable = to_u_label(*result); !readable) return no_label(readable.error());
  }
  return result;
}

struct SpecialName {
  std::string_view name;
  std::string_view what;
  std::string_view suggestion;
};
constexpr std::array<SpecialName, 6> kSpecialNames{
    {{"localhost", "is the jail's own loopback, which is always open", "leave it out"},
     {"invalid", "never has an address (RFC 6761)", "leave it out"},
     {"onion", "is for Tor: no DNS server may be asked for it (RFC 7686)",
      "give the address of the Tor proxy"},
     {"alt", "is not in DNS (RFC 9476)", "leave it out"},
     {"in-addr.arpa", "is the name of an address, not one that has addresses", "give the address itself"},
     {"ip6.arpa", "is the name of an address, not one that has addresses", "give the address itself"}}};

class PatternReader {
 public:
  PatternReader(std::string_view text, const PublicSuffixes& suffixes) : text_(text), suffixes_(suffixes) {}

  std::expected<NamePattern, NameError> read() {
    if (auto error = explain_shape()) return std::unexpected(std::move(*error));
    if (auto error = explain_star()) return std::unexpected(std::move(*error));
    NamePattern pattern;
    pattern.below = text_.starts_with("*.");
    auto labels = text_.substr(pattern.below ? 2 : 0);
    std::string_view last;
    while (labels.data() != nullptr) {
      const std::string_view part = take_label(labels);
      // One dot at the end: the root, which every name has.
      if (part.empty() && labels.data() == nullptr) break;
      if (auto error = add_label(part, pattern.name.text)) return std::unexpected(std::move(*error));
      last = part;
    }
    if (auto error = explain_name(pattern, last)) return std::unexpected(std::move(*error));
    return pattern;
  }

 private:
  // `part` is a stretch of the text.
  NameError wrong(std::string_view part, std::string what, std::string suggestion = {}) const {
    return {std::move(what), std::move(suggestion), static_cast<std::size_t>(part.data() - text_.data()),
            part.size()};
  }

  // The part from `first` on: what stands behind a name that does not belong there.
  NameError surplus(std::size_t first, std::string what) const {
    return wrong(text_.substr(first), std::move(what), std::string(text_.substr(0, first)));
  }

  NameError explain_url() const {
    std::string_view host = text_.substr(text_.find("://") + 3);
    host = host.substr(0, host.find_first_of("/?#"));
    if (const auto at = host.rfind('@'); at != host.npos) host.remove_prefix(at + 1);
    if (!host.starts_with('[')) host = host.substr(0, host.find(':'));
    return wrong(text_, "a URL is no name", host.empty() ? kExample : std::string(host));
  }

  // What is wrong before any label is looked at.
  std::optional<NameError> explain_shape() const {
    if (text_.empty()) return wrong(text_, "a name is empty", kExample);
    if (text_.size() > kMaxText)
      return wrong(text_, "a name has at most " + std::to_string(kMaxName) + " octets");
    const auto control = std::ranges::find_if(text_, [](char c) { return (c & 0xe0) == 0 || c == 0x7f; });
    if (trim(text_) != text_) {
      const std::string meant(trim(text_));
      return wrong(text_, "a name has blanks around it", meant.empty() ? kExample : meant);
    }
    if (control != text_.end()) return wrong({control, 1}, "a name has a control character in it");
    if (text_.find("://") != text_.npos) return explain_url();
    if (const auto at = text_.find_first_of(" ,;"); at != text_.npos)
      return wrong(text_.substr(at, 1), quote_word(text_) + " is more than one name",
                   "write each in quotes of its own: [\"a.example\", \"b.example\"]");
    if (const auto prefix = parse_prefix(text_))
      return wrong(text_, quote_word(text_) + " is an address, not a name", to_string(*prefix));
    if (const auto at = text_.rfind('@'); at != text_.npos)
      return wrong(text_.substr(0, at + 1), "a user is no part of a name", std::string(text_.substr(at + 1)));
    if (text_.starts_with('['))
      return wrong(text_, "brackets are for IPv6 addresses, " + quote_word(text_) + " is no name");
    if (const auto at = text_.find_first_of("/?#"); at != text_.npos)
      return surplus(at, "a path is no part of a name");
    if (const auto at = text_.find(':'); at != text_.npos) {
      if (text_.find(':', at + 1) != text_.npos)
        return wrong(text_, quote_word(text_) + " is neither a name nor an IPv6 address");
      return surplus(at, "a port is no part of a name");
    }
    return std::nullopt;
  }

  std::optional<NameError> explain_star() const {
    const auto star = text_.find('*', text_.starts_with("*.") ? 1 : 0);
    if (text_ == "*" || text_ == "*.")
      return wrong(text_, "'*' alone would be every name",
                   "name what it is below, such as \"*.example.com\"");
    if (star == text_.npos) return std::nullopt;
    std::string_view rest = text_.substr(text_.rfind('*') + 1);
    // "*example.com", but "foo*.example.com" and "*foo.*.example.com".
    if (star != 0 || text_.rfind('*') != 0) rest = rest.substr(std::min(rest.find('.'), rest.size()));
    if (rest.starts_with('.')) rest.remove_prefix(1);
    return wrong(text_.substr(star, 1), "a '*' stands for whole labels, alone and in front",
                 rest.empty() ? kExample : "*." + std::string(rest));
  }

  // Reads `part` and puts it behind `name`.
  std::optional<NameError> add_label(std::string_view part, std::string& name) const {
    if (part.empty()) return explain_empty(part);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto octet = part.substr(i, 1);
      if (is_ascii(octet) && !is_name_letter(lower(octet)[0]))
        return wrong(octet, quote_word(octet) + " cannot stand in a name");
    }
    auto label = read_label(part);
    if (!label) return wrong(part, std::move(label).error());
    if (!name.empty()) name += '.';
    name += *label;
    return std::nullopt;
  }

  NameError explain_empty(std::string_view part) const {
    if (std::ranges::all_of(text_, [](char c) { return c == '.'; }))
      return wrong(text_, "dots alone are no name", kExample);
    if (part.data() != text_.data()) return wrong(part, "between two dots a label is missing");
    const std::string rest(text_.substr(std::min(text_.find_first_not_of('.'), text_.size())));
    return wrong(part, "a name begins with a dot", "*." + rest + " for every name below it, or " + rest);
  }

  // What is wrong with the whole, though its labels are good.
  std::optional<NameError> explain_name(const NamePattern& pattern, std::string_view last_part) const {
    const std::string& name = pattern.name.text;
    // The shortest name that "*.name" could match has as many.
    const std::size_t size = to_string(pattern).size();
    if (size > kMaxName)
      return wrong(text_, "this name has " + std::to_string(size) + " octets: there are at most 253");
    // Programs take such a name for an address and never ask for it (inet_aton(3), WHATWG's "ends in a
    // number").
    std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
    const bool hexadecimal = last.starts_with("0x");
    if (hexadecimal) last.remove_prefix(2);
    if (std::ranges::all_of(last,
                            [&](char c) { return is_digit(c) || (hexadecimal && c >= 'a' && c <= 'f'); }))
      return wrong(last_part, "the last label of a name is no number",
                   "an IPv4 address has four numbers from 0 to 255, such as 198.51.100.7");
    for (const auto& special : kSpecialNames) {
      const NamePattern within{{std::string(special.name)}, true};
      if (pattern.name == within.name || matches(within, pattern.name))
        return wrong(text_, quote_word(name) + ' ' + std::string(special.what),
                     std::string(special.suggestion));
    }
    return pattern.below ? explain_suffix(pattern.name) : std::nullopt;
  }

  std::optional<NameError> explain_suffix(const Name& name) const {
    if (!suffixes_)
      return wrong(text_, "a '*' needs the public suffix list, and there is none",
                   "install the package publicsuffix, or give each name");
    if (!suffixes_.contains(name)) return std::nullopt;
    const std::string what = name.text.find('.') == name.text.npos
                                 ? " is a top-level name: a '*' stands below a domain"
                                 : " is a public suffix: anybody may have a name below it";
    return wrong(text_, quote_word(name.text) + what, "*.example." + name.text + ", or each name");
  }

  std::string_view text_;
  const PublicSuffixes& suffixes_;
};

}  // namespace

std::expected<NamePattern, NameError> parse_name_pattern(std::string_view text,
                                                         const PublicSuffixes& suffixes) {
  return PatternReader(text, suffixes).read();
}

}  // namespace netjail
