#include "netjail/net/hosts.h"

#include "netjail/base/text.h"

namespace netjail {
namespace {

// As the name would be in a question: the rules for names are there.
std::optional<Name> parse_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::vector<std::uint8_t> wire;
  for (const std::string_view label : split(text, '.')) {
    if (label.empty() || label.size() > kMaxLabel) return std::nullopt;
    wire.push_back(static_cast<std::uint8_t>(label.size()));
    wire.insert(wire.end(), label.begin(), label.end());
  }
  wire.push_back(0);
  return parse_wire_name(wire);
}

}  // namespace

std::vector<HostsEntry> parse_hosts(std::string_view text) {
  std::vector<HostsEntry> entries;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line.substr(0, line.find('#')));
    if (words.size() < 2) continue;
    const auto address = parse_ip(words[0]);
    if (!address) continue;
    HostsEntry entry{*address, {}};
    for (const std::string_view word : std::span(words).subspan(1))
      if (auto name = parse_name(word)) entry.names.push_back(std::move(*name));
    if (!entry.names.empty()) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace netjail
