// npmrc and pip.conf: two dialects of ini. npm's is that of its package "ini", pip's that of Python's
// RawConfigParser.
#include <algorithm>
#include <map>

#include "netjail/base/text.h"
#include "set_reader.h"

namespace netjail {
namespace {

// By section and key. A value has several lines where it is continued.
using PipValues = std::map<std::string, std::vector<SetLine>>;

bool is_comment(std::string_view trimmed) { return trimmed.starts_with('#') || trimmed.starts_with(';'); }

// A key or value of npmrc: quotes taken off, or cut before a comment. '\' keeps the character behind it.
std::string npm_text(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return std::string(text.substr(1, text.size() - 2));
  std::string out;
  for (std::size_t i = 0; i < text.size() && !is_comment(text.substr(i)); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (is_comment(text.substr(i + 1)) || text[i + 1] == '\\'))
      ++i;
    out += text[i];
  }
  return std::string(trim(out));
}

struct NpmValue {
  std::string text;
  Position where;
};
using NpmValues = std::map<std::string, NpmValue>;

void read_npm_file(const ConfigFile& file, NpmValues& values) {
  for (const auto& line : lines_of(file)) {
    const auto text = trim(line.text);
    if (text.empty() || is_comment(text)) continue;
    // The keys of a section are no longer those of npm.
    if (text.front() == '[' && text.find(']') == text.size() - 1) return;
    const auto equals = text.find('=');
    if (equals == text.npos) continue;
    const std::string key = npm_text(text.substr(0, equals));
    if (key == "registry" || key.ends_with(":registry"))
      values[key] = {npm_text(text.substr(equals + 1)), line.where()};
  }
}

std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(" \t"), line.size()); }

// pip takes '_' for '-' and "--" before a key for nothing.
std::string pip_key(std::string_view text) {
  std::string key = lower(trim(text));
  std::ranges::replace(key, '_', '-');
  if (key.starts_with("--")) key.erase(0, 2);
  return key;
}

void read_pip_file(const ConfigFile& file, PipValues& values, SetReader& reader) {
  std::string section;
  std::vector<SetLine>* current = nullptr;
  std::size_t indent = 0;
  for (const auto& line : lines_of(file)) {
    const auto text = trim(line.text);
    if (text.empty() || is_comment(text)) continue;
    if (current != nullptr && indent_of(line.text) > indent) {
      current->push_back({text, line.file, line.number});
      continue;
    }
    indent = indent_of(line.text);
    current = nullptr;
    if (text.front() == '[') {
      section = text.substr(0, text.rfind(']') + 1);
      if (section.empty()) reader.complain(line.where(), {"the bracket of this section is not closed"});
      continue;
    }
    const auto sign = text.find_first_of("=:");
    if (sign == text.npos) {
      reader.complain(line.where(), {"this line is no 'key = value'"});
      continue;
    }
    const auto key = pip_key(text.substr(0, sign));
    current = &values[section + key];
    *current = {{trim(text.substr(sign + 1)), line.file, line.number}};
  }
}

}  // namespace

void read_npm(std::span<const ConfigFile> files, SetReader& reader) {
  NpmValues values;
  for (const auto& file : files) {
    NpmValues farther;
    read_npm_file(file, farther);
    values.merge(farther);
  }
  for (const auto& [key, value] : values) {
    if (key.find("${") != key.npos || value.text.find("${") != value.text.npos)
      reader.complain(value.where, {"a variable of the environment stands in for the registry, and netjail "
                                    "does not read those: who sets them is not known",
                                    "write the URL out in this file"});
    else
      reader.add_url(value.text, value.where);
  }
}

void read_pip(std::span<const ConfigFile> files, SetReader& reader) {
  PipValues values;
  for (const auto& file : files) {
    PipValues farther;
    read_pip_file(file, farther, reader);
    values.merge(farther);
  }
  for (const auto& [name, lines] : values) {
    const std::string_view key = std::string_view(name).substr(name.rfind(']') + 1);
    if (key != "index-url" && key != "extra-index-url" && key != "find-links") continue;
    for (const auto& line : lines)
      for (const auto url : split_words(line.text)) reader.add_url_or_path(url, line.where());
  }
}

}  // namespace netjail
