#include <algorithm>
#include <numeric>

#include "netjail/net/name.h"

namespace netjail {

NameSet::NameSet(std::span<const NamePattern> patterns)
    : patterns_(patterns.begin(), patterns.end()), sorted_(patterns.size()) {
  std::iota(sorted_.begin(), sorted_.end(), 0U);
  std::ranges::sort(sorted_, {}, [&](std::uint32_t index) { return key(index); });
  for (const NamePattern& one : patterns_)
    if (one.below)
      deepest_ = std::max(deepest_, 1 + static_cast<std::size_t>(std::ranges::count(one.name.text, '.')));
}

std::vector<std::size_t> NameSet::find(const Name& name) const {
  std::vector<std::size_t> found;
  const auto add = [&](bool below, std::string_view text) {
    const auto same = std::ranges::equal_range(sorted_, std::pair(below, text), {},
                                               [&](std::uint32_t index) { return key(index); });
    found.insert(found.end(), same.begin(), same.end());
  };
  const std::string_view text = name.text;
  add(false, text);
  // From the last label on: what is behind a dot is a name that this one is below.
  std::size_t dot = text.rfind('.');
  for (std::size_t labels = 1; dot != text.npos && labels <= deepest_; ++labels) {
    add(true, text.substr(dot + 1));
    dot = dot == 0 ? text.npos : text.rfind('.', dot - 1);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace netjail
