// A TOML document as plain values with places: what the reader of profiles walks over. Keeps toml++ in one
// file.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "source.h"

namespace netjail {

struct Entry;
struct Node {
  enum class Kind : std::uint8_t { text, integer, real, boolean, date, list, table };
  Kind kind = Kind::table;
  bool flag = false;           // boolean
  Mark mark;                   // of the value as written
  std::int64_t number = 0;     // integer
  std::string text;            // text
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // table, in alphabetical order
};
struct Entry {
  std::string key;
  Mark mark;  // of the key
  Node value;
};

// "a text", "a whole number", "a list", ...: for messages.
std::string_view kind_name(Node::Kind kind);

// The first syntax error, or the tree. `text` is UTF-8 without NUL.
std::expected<Node, NotText> read_toml(std::string_view text);

}  // namespace netjail
