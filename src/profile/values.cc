#include "values.h"

#include <algorithm>

#include "netjail/base/text.h"
#include "netjail/profile/keys.h"

namespace netjail {

std::string header_of(std::string_view table) {
  const std::string name(table);
  return is_table_list(table) ? "[[" + name + "]]" : '[' + name + ']';
}

std::string title_of(std::string_view table, std::string_view key) {
  return quote_word(key) + (table.empty() ? "" : " in " + header_of(table));
}

void Values::complain_type(const Place& place, const Node& node, std::string suggestion) {
  const auto* info = find_key(place.table, place.entry.key);
  const std::string type(info == nullptr ? "" : info->type);
  source_.complain(node.mark, {title_of(place.table, place.entry.key) + " must be " + type + ", not " +
                                   std::string(kind_name(node.kind)),
                               std::move(suggestion)});
}

bool Values::has_nul(const Node& node) {
  if (node.text.find('\0') == std::string::npos) return false;
  source_.complain(node.mark, {"this text holds a NUL character"});
  return true;
}

std::optional<bool> Values::flag(const Place& place) {
  const Node& value = place.entry.value;
  if (value.kind == Node::Kind::boolean) return value.flag;
  const std::string word =
      value.kind == Node::Kind::integer ? std::to_string(value.number) : lower(value.text);
  std::string suggestion;
  if (word == "true" || word == "yes" || word == "on" || word == "1") suggestion = "true";
  if (word == "false" || word == "no" || word == "off" || word == "0") suggestion = "false";
  complain_type(place, value, std::move(suggestion));
  return std::nullopt;
}

std::optional<std::string> Values::text(const Place& place) {
  const Node& value = place.entry.value;
  if (value.kind != Node::Kind::text) {
    complain_type(place, value);
    return std::nullopt;
  }
  if (has_nul(value)) return std::nullopt;
  return value.text;
}

std::vector<Values::Item> Values::items(const Place& place, bool numbers) {
  const Node& value = place.entry.value;
  std::vector<Item> items;
  const auto read = [&](const Node& node) {
    if (node.kind == Node::Kind::integer && numbers)
      items.push_back({std::to_string(node.number), node.mark});
    else if (node.kind != Node::Kind::text)
      complain_type(place, node);
    else if (!has_nul(node))
      items.push_back({node.text, node.mark});
  };
  if (value.kind != Node::Kind::list) {
    read(value);
    return items;
  }
  if (value.items.empty())
    source_.complain(value.mark, {"this list is empty",
                                  "name at least one, or leave " + quote_word(place.entry.key) + " out"});
  items.reserve(value.items.size());
  for (const auto& item : value.items) read(item);
  return items;
}

std::optional<std::size_t> Values::index_of(const Place& place, const std::vector<std::string>& words) {
  const Node& value = place.entry.value;
  if (value.kind != Node::Kind::text) {
    complain_type(place, value);
    return std::nullopt;
  }
  const auto chosen = std::ranges::find(words, value.text);
  if (chosen != words.end()) return static_cast<std::size_t>(chosen - words.begin());
  const auto* info = find_key(place.table, place.entry.key);
  source_.complain(value.mark, {quote_word(value.text) + " is no value of " + quote_word(place.entry.key) +
                                    ": it is " + std::string(info == nullptr ? "" : info->type),
                                nearest(value.text, words).value_or("")});
  return std::nullopt;
}

}  // namespace netjail
