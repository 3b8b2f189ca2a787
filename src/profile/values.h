// Typed values of keys: what a handler asks for, or a mistake that says what the key table expects there.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node.h"
#include "source.h"

namespace netjail {

// A key as it was met.
struct Place {
  std::string_view table;
  const Entry& entry;
  ProfileRule* rule;  // in [[allow]] and [[deny]], else null
};

// "[network]" or "[[allow]]", as it stands in the file; "'refuse' in [network]".
std::string header_of(std::string_view table);
std::string title_of(std::string_view table, std::string_view key);

class Values {
 public:
  // `source` must outlive the Values.
  explicit Values(Source& source) : source_(source) {}

  std::optional<bool> flag(const Place& place);
  std::optional<std::string> text(const Place& place);

  struct Item {
    std::string text;
    Mark mark;
  };
  // A list of texts; one text stands for a list of one.
  std::vector<Item> texts(const Place& place) { return items(place, false); }
  // The same, where a number is as good as its text: ports, accounts.
  std::vector<Item> texts_or_numbers(const Place& place) { return items(place, true); }

  // The meaning of the word that is the value.
  template <class T, std::size_t N>
  std::optional<T> choice(const Place& place, const std::array<std::pair<std::string_view, T>, N>& choices) {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : choices) words.emplace_back(word);
    const auto chosen = index_of(place, words);
    return chosen ? std::optional(choices[*chosen].second) : std::nullopt;
  }

  void complain_type(const Place& place, const Node& node, std::string suggestion = {});
  // Complains.
  bool has_nul(const Node& node);

 private:
  std::vector<Item> items(const Place& place, bool numbers);
  std::optional<std::size_t> index_of(const Place& place, const std::vector<std::string>& words);

  Source& source_;
};

}  // namespace netjail
