// Small text helpers that several modules need: splitting, numbers, suggestions for typing errors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netjail {

std::string_view trim(std::string_view text);
// Pieces between separators, empty ones included; split("", ',') is one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);
// Pieces between runs of spaces and tabs; no empty ones.
std::vector<std::string_view> split_words(std::string_view text);
std::string join(std::span<const std::string> pieces, std::string_view separator);
// "a, b, c"; of more than `most` those, "and N more".
std::string join_some(std::span<const std::string> pieces, std::size_t most);
// A decimal number without sign, leading zeros ("007"), spaces or rest, at most `max`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max);
std::string lower(std::string_view text);
// The candidate nearest to `word` by edit distance, if near enough to be meant.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);
// `text` with every octet outside printable ASCII as \\xNN: safe for a terminal, whatever a stranger put into
// it.
std::string printable(std::string_view text);
// The word in single quotes, cut when it is long: messages stay short whatever a file holds.
std::string quote_word(std::string_view word);
// As one word of a POSIX shell: bare when it needs no quotes, else in single quotes.
std::string shell_quote(std::string_view text);

}  // namespace netjail
