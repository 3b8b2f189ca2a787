#include "netjail/net/name.h"

#include <algorithm>

#include "idna.h"
#include "name_octets.h"
#include "netjail/base/text.h"

namespace netjail {
namespace {

// Whether `name` ends in ".`suffix`".
bool is_below(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.ends_with(suffix) &&
         name[name.size() - suffix.size() - 1] == '.';
}

}  // namespace

std::optional<Name> parse_wire_name(std::span<const std::uint8_t> octets) {
  Name name;
  while (!octets.empty() && octets[0] != 0) {
    const std::size_t size = octets[0];
    if (size > kMaxLabel || size >= octets.size()) return std::nullopt;
    if (!name.text.empty()) name.text += '.';
    const std::string_view label(reinterpret_cast<const char*>(octets.data()) + 1, size);
    name.text += lower(label);
    // Also a dot, which inside a label would look like the end of one.
    if (!std::ranges::all_of(name.text.substr(name.text.size() - size), is_name_letter)) return std::nullopt;
    octets = octets.subspan(1 + size);
  }
  if (octets.size() != 1 || name.text.empty() || name.text.size() > kMaxName) return std::nullopt;
  return name;
}

bool matches(const NamePattern& pattern, const Name& name) {
  return pattern.below ? is_below(name.text, pattern.name.text) : name == pattern.name;
}

bool covers(const NamePattern& outer, const NamePattern& inner) {
  if (!inner.below) return matches(outer, inner.name);
  return outer.below && (outer.name == inner.name || is_below(inner.name.text, outer.name.text));
}

std::string to_string(const NamePattern& pattern) { return (pattern.below ? "*." : "") + pattern.name.text; }

std::string to_unicode(const Name& name) {
  std::string out;
  for (const auto label : split(name.text, '.')) {
    if (!out.empty()) out += '.';
    const auto readable = label.starts_with(kAcePrefix) ? to_u_label(label) : Label(label);
    out += readable.value_or(std::string(label));
  }
  return out;
}

std::string to_unicode(const NamePattern& pattern) {
  return (pattern.below ? "*." : "") + to_unicode(pattern.name);
}

}  // namespace netjail
