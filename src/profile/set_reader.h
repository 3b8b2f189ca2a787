// What the readers of configuration files have in common: where a URL stands, what it stands for, and
// mistakes that tell the place but never the line, in which a password may be.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "netjail/profile/named_sets.h"
#include "source.h"
#include "words.h"

namespace netjail {

// A destination with an '@' in front.
Word<Destination> read_set_name(std::string_view text);

class SetReader {
 public:
  // scheme://[user@]host[:port]/... becomes a host; a source that needs no network is counted.
  void add_url(std::string_view url, const Position& where);
  // A path or a URL, as pip takes them.
  void add_url_or_path(std::string_view text, const Position& where);
  void complain(const Position& where, Mistake mistake);

  bool failed() const { return !mistakes_.empty(); }
  bool full() const { return mistakes_.size() >= kMaxDiagnostics; }
  Diagnostics take_mistakes() { return std::move(mistakes_); }
  SetContents take_contents() { return std::move(contents_); }

 private:
  SetContents contents_;
  Diagnostics mistakes_;
};

// The lines of a text, without their ends, each with its place.
struct SetLine {
  std::string_view text;
  const ConfigFile* file = nullptr;
  std::uint32_t number = 1;
  Position where() const { return {file->path, number, 1}; }
};
std::vector<SetLine> lines_of(const ConfigFile& file);

// `deb [options] uri suite ...`
void read_apt_list(const ConfigFile& file, SetReader& reader);
// deb822: URIs of the stanzas that are not disabled.
void read_apt_stanzas(const ConfigFile& file, SetReader& reader);
// The nearest file's value of each key.
void read_npm(std::span<const ConfigFile> files, SetReader& reader);
void read_pip(std::span<const ConfigFile> files, SetReader& reader);

}  // namespace netjail
