#include "netjail/profile/named_sets.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "netjail/base/text.h"
#include "set_reader.h"

namespace netjail {
namespace {

constexpr std::array<std::string_view, 3> kNames{"@apt-sources", "@npm-registry", "@pip-index"};
// How to configure what the set is of, in the same order.
constexpr std::array<std::string_view, 3> kRemedies{
    "add a source to /etc/apt/sources.list.d: deb URL SUITE COMPONENT",
    "npm config set registry URL --location=user",
    "pip config --user set global.index-url URL",
};

std::size_t index_of(std::string_view set) {
  return static_cast<std::size_t>(std::ranges::find(kNames, set) - kNames.begin());
}

// NUL ends what a program in C reads, and not what we read.
bool check_text(const ConfigFile& file, SetReader& reader) {
  const auto nul = file.text ? file.text->find('\0') : std::string::npos;
  if (nul == std::string::npos) return true;
  const auto line = 1 + std::count(file.text->begin(), file.text->begin() + static_cast<long>(nul), '\n');
  reader.complain({file.path, static_cast<std::uint32_t>(line), 1},
                  {"this file is binary: it has a NUL octet"});
  return false;
}

Diagnostic nothing_in(const Destination& set, const ProfileRule& rule, std::span<const ConfigFile> files,
                      std::size_t local) {
  std::vector<std::string> paths;
  for (const auto& file : files) paths.push_back(file.path);
  Diagnostic result;
  result.where = rule.where;
  result.message = set.text +
                   (local == 0 ? ": nothing is configured; looked at "
                               : ": the configuration has local sources only, which need no network; see ") +
                   join(paths, ", ");
  if (local == 0) result.suggestion = kRemedies[index_of(set.text)];
  return result;
}

struct Group {
  std::vector<Service> services;
  std::vector<Destination> to;
};

// A user's own file is also the file of whatever ran as that user before, jailed or not: an address in it
// opens the local network no more than a name does. sources.list is root's.
bool may_open(const std::string& set, const ProfileRule& rule, const Destination& to) {
  return to.kind != Destination::Kind::prefix || !local_addresses().contains(to.prefix.base) || rule.local ||
         rule.action == Action::deny || set == "@apt-sources";
}

// Each host once, with the others that have the same services.
std::vector<Group> group_hosts(const std::string& set, const SetContents& contents, const ProfileRule& rule) {
  const bool by_url = rule.services.empty() && rule.action == Action::allow;
  std::map<std::string, std::set<Service>> services;
  for (const auto& host : contents.hosts) {
    auto& of_host = services[host.to.text];
    if (by_url) of_host.insert(host.service);
  }
  std::vector<Group> groups;
  for (const auto& host : contents.hosts) {
    const auto found = services.find(host.to.text);
    if (found == services.end()) continue;  // a double
    const std::vector<Service> wanted =
        by_url ? std::vector(found->second.begin(), found->second.end()) : rule.services;
    services.erase(found);
    if (!may_open(set, rule, host.to)) continue;  // refused and told like any local address
    auto group = std::ranges::find(groups, wanted, &Group::services);
    if (group == groups.end()) group = groups.insert(groups.end(), {wanted, {}});
    group->to.push_back(host.to);
  }
  return groups;
}

}  // namespace

std::span<const std::string_view> set_names() { return kNames; }

Word<Destination> read_set_name(std::string_view text) {
  if (std::ranges::find(kNames, text) != kNames.end())
    return Destination{.kind = Destination::Kind::set, .text = std::string(text)};
  if (const auto colon = text.find(':'); colon != text.npos)
    return mistake("a port does not belong here", "to = [\"" + std::string(text.substr(0, colon)) +
                                                      "\"], service = [\"" +
                                                      std::string(text.substr(colon + 1)) + "\"]");
  const std::vector<std::string> sets(kNames.begin(), kNames.end());
  const auto meant = nearest(lower(text), sets);
  return mistake("there is no set " + quote_word(text), meant ? *meant : "the sets are " + join(sets, ", "));
}

Parsed<SetContents> read_set(std::string_view set, std::span<const ConfigFile> files) {
  SetReader reader;
  const bool text =
      std::ranges::count_if(files, [&](const auto& file) { return !check_text(file, reader); }) == 0;
  if (text && set == "@apt-sources") {
    for (const auto& file : files)
      file.path.ends_with(".sources") ? read_apt_stanzas(file, reader) : read_apt_list(file, reader);
  }
  if (text && set == "@npm-registry") read_npm(files, reader);
  if (text && set == "@pip-index") read_pip(files, reader);
  if (reader.failed()) return std::unexpected(reader.take_mistakes());
  return reader.take_contents();
}

std::vector<std::string> sets_of(const Profile& profile) {
  std::set<std::string> sets;
  for (const auto& rule : profile.rules)
    for (const auto& to : rule.to)
      if (to.kind == Destination::Kind::set) sets.insert(to.text);
  return {sets.begin(), sets.end()};
}

Parsed<Profile> expand_sets(const Profile& profile, const SetFiles& files) {
  Diagnostics mistakes;
  std::map<std::string, SetContents> contents;
  const auto files_of = [&](const std::string& set) {
    const auto found = files.find(set);
    return found == files.end() ? std::span<const ConfigFile>() : std::span(found->second);
  };
  for (const auto& set : sets_of(profile)) {
    auto read = read_set(set, files_of(set));
    if (read)
      contents[set] = std::move(*read);
    else
      std::ranges::move(read.error(), std::back_inserter(mistakes));
  }
  Profile result = profile;
  result.rules.clear();
  for (const auto& rule : profile.rules) {
    const auto is_set = [](const Destination& to) { return to.kind == Destination::Kind::set; };
    if (std::ranges::none_of(rule.to, is_set)) {
      result.rules.push_back(rule);
      continue;
    }
    ProfileRule rest = rule;
    std::erase_if(rest.to, is_set);
    if (!rest.to.empty()) result.rules.push_back(rest);
    for (const auto& set : rule.to) {
      const auto found = contents.find(set.text);
      if (!is_set(set) || found == contents.end()) continue;  // no set, or its files have mistakes
      if (found->second.hosts.empty())
        mistakes.push_back(nothing_in(set, rule, files_of(set.text), found->second.local));
      for (auto& group : group_hosts(set.text, found->second, rule)) {
        ProfileRule expanded = rule;
        expanded.set = set.text;
        expanded.to = std::move(group.to);
        expanded.services = std::move(group.services);
        result.rules.push_back(std::move(expanded));
      }
    }
  }
  if (!mistakes.empty()) return std::unexpected(std::move(mistakes));
  return result;
}

}  // namespace netjail
