#include <algorithm>

#include "netjail/net/name.h"

namespace netjail {

NameSet::NameSet(std::span<const NamePattern> patterns) {
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const std::string& text = patterns[i].name.text;
    (patterns[i].below ? below_ : exact_)[text].push_back(i);
    if (patterns[i].below)
      deepest_ = std::max(deepest_, 1 + static_cast<std::size_t>(std::ranges::count(text, '.')));
  }
}

std::vector<std::size_t> NameSet::find(const Name& name) const {
  std::vector<std::size_t> found;
  const auto add = [&](const Indices& indices, std::string_view text) {
    if (const auto at = indices.find(text); at != indices.end())
      found.insert(found.end(), at->second.begin(), at->second.end());
  };
  const std::string_view text = name.text;
  add(exact_, text);
  // From the last label on: what is behind a dot is a name that this one is below.
  std::size_t dot = text.rfind('.');
  for (std::size_t labels = 1; dot != text.npos && labels <= deepest_; ++labels) {
    add(below_, text.substr(dot + 1));
    dot = dot == 0 ? text.npos : text.rfind('.', dot - 1);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace netjail
