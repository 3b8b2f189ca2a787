// A text with mistakes in it: turns a place in the text into a Diagnostic that a terminal can show, and
// collects them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netjail/profile/profile.h"

namespace netjail {

// A stretch of one line. Columns count code points, as editors do, and begin with 1.
struct Mark {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint32_t width = 1;
};

// What is wrong with a word, and what was perhaps meant. The reader of the word does not know where it
// stands.
struct Mistake {
  std::string message;
  std::string suggestion = {};
  // The octets of the word that are wrong, none of them where something is missing. Nothing: all of it.
  struct Part {
    std::size_t offset = 0;
    std::size_t length = 0;
  };
  std::optional<Part> part = {};
};

// More than this nobody reads; a file of 16 MiB must not become gigabytes of diagnostics.
inline constexpr std::size_t kMaxDiagnostics = 100;

class Source {
 public:
  // `text` must outlive the Source.
  Source(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  Position position(Mark mark) const { return {file_, mark.line, mark.column}; }
  // With the line's text, made printable and cut around the caret.
  Diagnostic diagnostic(Mark mark, Mistake mistake) const;
  std::string_view line(std::uint32_t number) const;

  void complain(Mark mark, Mistake mistake);
  // `mark` is that of `word`, with or without quotes. A part is marked where the columns of the text are
  // those of the word: not in one with escapes.
  void complain(Mark mark, std::string_view word, Mistake mistake);
  bool failed() const { return !diagnostics_.empty(); }
  // True when further mistakes are only counted: no need to look for suggestions.
  bool full() const { return diagnostics_.size() >= kMaxDiagnostics; }
  // In the order of the text.
  Diagnostics take();

 private:
  std::string_view text_;
  std::string file_;
  mutable std::vector<std::size_t> line_starts_;  // filled at the first mistake
  Diagnostics diagnostics_;
  std::size_t left_out_ = 0;
};

// The one mistake that makes a text no profile at all: NUL, not UTF-8, too large. Nothing when it is text.
struct NotText {
  Mark mark;
  Mistake mistake;
};
std::optional<NotText> find_binary(std::string_view text);

// Code points of a well-formed text.
std::uint32_t count_columns(std::string_view text);

}  // namespace netjail
