#include "source.h"

#include <algorithm>
#include <optional>

#include "netjail/base/text.h"

namespace netjail {
namespace {

constexpr std::size_t kMaxText = 16u << 20;
constexpr std::size_t kLineWidth = 200;  // columns of a source line that are shown
constexpr std::size_t kLead = 60;        // of them before the caret, when the line is cut on the left

// Octets of the character that begins at text[0]: 0 when there is no well-formed one (RFC 3629: no overlong
// form, no surrogate, nothing above U+10FFFF).
std::size_t character_size(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = octet(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return 0;
  }
  if ((first == 0xe0 && octet(1) < 0xa0) || (first == 0xed && octet(1) > 0x9f)) return 0;
  if ((first == 0xf0 && octet(1) < 0x90) || (first == 0xf4 && octet(1) > 0x8f)) return 0;
  return size;
}

// The next character as it is shown, taken off `text`. A tab is one space, so that the caret stands where it
// should.
std::string take_cell(std::string_view& text) {
  const std::size_t size = std::max<std::size_t>(1, character_size(text));
  std::string cell = text[0] == '\t' ? " " : printable(text.substr(0, size));
  text.remove_prefix(size);
  return cell;
}

}  // namespace

std::uint32_t count_columns(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string_view Source::line(std::uint32_t number) const {
  if (line_starts_.empty()) {
    line_starts_.push_back(0);
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '\n') line_starts_.push_back(i + 1);
    }
  }
  if (number == 0 || number > line_starts_.size()) return {};
  std::string_view line = text_.substr(line_starts_[number - 1]);
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Diagnostic Source::diagnostic(Mark mark, Mistake mistake) const {
  Diagnostic result;
  result.where = position(mark);
  result.message = std::move(mistake.message);
  result.suggestion = std::move(mistake.suggestion);

  // A byte order mark is no column to the TOML reader.
  std::string_view rest = line(mark.line);
  if (mark.line == 1 && rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  // Cut on the left: the caret's column decides from which character on the line is shown.
  std::uint32_t column = 1;
  if (mark.column > kLineWidth - kLead) {
    for (; column + kLead < mark.column && !rest.empty(); ++column) take_cell(rest);
    result.source_line = "...";
  }
  const auto columns = [&] { return static_cast<std::uint32_t>(result.source_line.size()); };
  std::optional<std::uint32_t> begin, end;
  for (; !rest.empty(); ++column) {
    if (column == mark.column) begin = columns();
    if (begin && column == mark.column + mark.width) end = columns();
    const std::string cell = take_cell(rest);
    if (columns() + cell.size() > kLineWidth) {
      result.source_line += "...";
      if (!end) end = columns();
      break;
    }
    result.source_line += cell;
  }
  // A mistake can stand behind the end of its line: something is missing there.
  result.caret = begin.value_or(columns());
  result.width = std::max<std::uint32_t>(1, end.value_or(columns()) - std::min(result.caret, columns()));
  return result;
}

void Source::complain(Mark mark, Mistake mistake) {
  if (full())
    ++left_out_;
  else
    diagnostics_.push_back(diagnostic(mark, std::move(mistake)));
}

void Source::complain(Mark mark, std::string_view word, Mistake mistake) {
  const std::uint32_t columns = count_columns(word);
  if (mistake.part && (mark.width == columns || mark.width == columns + 2)) {
    mark.column += (mark.width - columns) / 2 + count_columns(word.substr(0, mistake.part->offset));
    mark.width = std::max(1u, count_columns(word.substr(mistake.part->offset, mistake.part->length)));
  }
  complain(mark, std::move(mistake));
}

Diagnostics Source::take() {
  std::ranges::stable_sort(diagnostics_, {}, [](const Diagnostic& diagnostic) {
    return std::pair(diagnostic.where.line, diagnostic.where.column);
  });
  if (left_out_ != 0) {
    Diagnostic rest;
    rest.where = diagnostics_.back().where;
    rest.message = "and " + std::to_string(left_out_) + " more mistakes";
    diagnostics_.push_back(std::move(rest));
    left_out_ = 0;
  }
  return std::move(diagnostics_);
}

std::optional<NotText> find_binary(std::string_view text) {
  if (text.size() > kMaxText)
    return NotText{{},
                   {"this file is larger than " + std::to_string(kMaxText >> 20) + " MiB: it is no profile"}};
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    return NotText{{}, {"this file is UTF-16, a profile must be UTF-8", "save it as UTF-8"}};
  Mark mark;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t size = character_size(rest);
    if (size == 0)
      return NotText{mark, {"this is not UTF-8 text", "is it a text file? If so, save it as UTF-8"}};
    if (rest[0] == '\0')
      return NotText{mark, {"this file is binary: it has a NUL octet", "give a text file"}};
    if (rest[0] == '\n') {
      ++mark.line;
      mark.column = 1;
    } else {
      ++mark.column;
    }
    rest.remove_prefix(size);
  }
  return std::nullopt;
}

}  // namespace netjail
