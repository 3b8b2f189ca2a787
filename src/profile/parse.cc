// The walk over a profile. Every key goes the same way: the key table says whether it exists and is
// supported, a handler reads its value. Mistakes are collected; nothing is guessed.
#include "parse.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "netjail/base/text.h"
#include "netjail/profile/keys.h"
#include "values.h"
#include "words.h"

namespace netjail {
namespace {

bool is_table(std::string_view name) {
  const auto tables = key_tables();
  return !name.empty() && std::ranges::find(tables, name) != tables.end();
}

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// A user or group, by name or number. Whether it exists is not known here.
bool is_account(std::string_view name) {
  return !name.empty() && name.size() <= 256 && name.front() != '-' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '@' || c == '\\' || c == '$' || (c & 0x80) != 0;
  });
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& file, const ServiceTable& services)
      : text_(text), services_(services), source_(text, file) {
    const std::string_view base = std::string_view(file).substr(file.rfind('/') + 1);
    result_.profile.name = base.ends_with(".toml") ? base.substr(0, base.size() - 5) : base;
  }

  Parsed<ParsedFile> read() {
    if (auto binary = find_binary(text_)) {
      // Neither the line nor its octets help anybody, unless a text goes wrong far inside.
      source_.complain(binary->mark, std::move(binary->mistake));
    } else if (auto root = read_toml(text_)) {
      read_root(*root);
    } else {
      source_.complain(root.error().mark, std::move(root.error().mistake));
    }
    if (source_.failed()) return std::unexpected(source_.take());
    // [[allow]] and [[deny]] are two lists in TOML; the order written is one.
    std::ranges::stable_sort(result_.profile.rules, {}, [](const ProfileRule& rule) {
      return std::pair(rule.where.line, rule.where.column);
    });
    return std::move(result_);
  }

 private:
  using Handler = void (Reader::*)(const Place&);
  struct Handling {
    std::string_view table, key;
    Handler handler;
  };
  // Every supported key of the key table; tests/unit/profile_keys.cc sees that none is missing.
  static const std::array<Handling, 26> kHandlers;

  void complain(Mark mark, std::string message, std::string suggestion = {}) {
    source_.complain(mark, {std::move(message), std::move(suggestion)});
  }

  // ---- tables and keys

  void read_root(const Node& root) {
    for (const auto& entry : root.entries) {
      if (!is_table(entry.key))
        read_key({"", entry, nullptr});
      else if (is_table_list(entry.key))
        read_table_list(entry);
      else
        read_table(entry.key, entry);
    }
  }

  void read_table(std::string_view table, const Entry& entry) {
    if (entry.value.kind != Node::Kind::table) {
      complain(entry.mark, quote_word(table) + " is a table",
               "write " + header_of(table) + " on a line of its own");
      return;
    }
    if (entry.value.entries.empty() && !is_supported_table(table))
      complain(entry.mark, header_of(table) + " is not supported by this version of netjail yet");
    for (const auto& inner : entry.value.entries) {
      const std::string name = std::string(table) + '.' + inner.key;
      if (is_table(name))
        read_table(name, inner);
      else
        read_key({table, inner, nullptr});
    }
  }

  void read_table_list(const Entry& entry) {
    const std::string_view table = entry.key;
    const bool list = entry.value.kind == Node::Kind::list;
    const bool tables = list && std::ranges::all_of(entry.value.items, [](const Node& item) {
                          return item.kind == Node::Kind::table;
                        });
    if (!tables || entry.value.items.empty()) {
      complain(entry.mark,
               quote_word(table) + " is a list of tables, one for each " + (is_rule(table) ? "rule" : "port"),
               "write " + header_of(table) + " on a line of its own");
      return;
    }
    for (const auto& item : entry.value.items) {
      if (is_rule(table))
        read_rule(table, item);
      else if (item.entries.empty())
        complain(item.mark, header_of(table) + " is not supported by this version of netjail yet");
      else
        for (const auto& inner : item.entries) read_key({table, inner, nullptr});
    }
  }

  static bool is_rule(std::string_view table) { return table == "allow" || table == "deny"; }

  void read_rule(std::string_view table, const Node& node) {
    ProfileRule rule;
    rule.action = table == "allow" ? Action::allow : Action::deny;
    rule.where = source_.position(node.mark);
    for (const auto& entry : node.entries) read_key({table, entry, &rule});
    const auto has_to =
        std::ranges::any_of(node.entries, [](const Entry& entry) { return entry.key == "to"; });
    // A rule by country alone says so itself: one mistake is enough.
    const auto other = std::ranges::any_of(node.entries, [&](const Entry& entry) {
      const auto* info = find_key(table, entry.key);
      return info == nullptr || !info->supported;
    });
    if (!has_to && !other) complain(node.mark, "this rule names no destination", "add to = [\"internet\"]");
    result_.profile.rules.push_back(std::move(rule));
  }

  void read_key(const Place& place) {
    const Entry& entry = place.entry;
    const auto* info = find_key(place.table, entry.key);
    if (info == nullptr) info = find_key(place.table, "NAME");
    if (info == nullptr) {
      complain(entry.mark, "unknown key " + title_of(place.table, entry.key),
               suggest_key(place.table, entry.key));
    } else if (!info->supported) {
      complain(entry.mark,
               title_of(place.table, entry.key) + " is not supported by this version of netjail yet");
    } else {
      const auto* handling = std::ranges::find_if(kHandlers, [&](const Handling& candidate) {
        return candidate.table == place.table && candidate.key == entry.key;
      });
      if (handling != kHandlers.end()) (this->*handling->handler)(place);
    }
  }

  std::string suggest_key(std::string_view table, std::string_view key) const {
    if (source_.full()) return {};
    if (is_rule(table)) {
      if (key == "port" || key == "ports" || key == "protocol" || key == "proto")
        return "did you mean 'service'?";
      if (key == "host" || key == "destination" || key == "address" || key == "from")
        return "did you mean 'to'?";
    }
    auto candidates = keys_of(table);
    if (table.empty()) {
      for (auto& name : key_tables()) candidates.push_back(std::move(name));
    }
    std::erase_if(candidates, [](const std::string& name) { return name.empty() || name == "NAME"; });
    const auto meant = nearest(key, candidates);
    // "refuse" at the top of the file, where [network] was forgotten.
    const auto keys = profile_keys();
    const auto elsewhere = std::ranges::find_if(
        keys, [&](const KeyInfo& info) { return info.key == key && info.table != table && info.supported; });
    if (elsewhere != keys.end())
      return elsewhere->table.empty() ? quote_word(key) + " stands at the top, before the first table"
                                      : quote_word(key) + " is a key of " + header_of(elsewhere->table);
    if (meant) return "did you mean " + quote_word(*meant) + '?';
    return "known here: " + join(candidates, ", ");
  }

  // ---- handlers

  void read_description(const Place& place) { result_.profile.description = values_.text(place); }

  void read_extends(const Place& place) {
    for (auto& item : values_.texts(place)) {
      const bool path = item.text.find('/') != std::string::npos;
      const bool plain =
          std::ranges::none_of(item.text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
      if (item.text.empty() || !plain || item.text == "." || item.text == ".." ||
          (path && item.text.ends_with('/'))) {
        complain(item.mark, quote_word(item.text) + " is no name of a profile",
                 "a name such as \"internet\", or a path");
        continue;
      }
      result_.profile.extends.push_back(std::move(item.text));
      result_.extends_at.push_back(item.mark);
    }
  }

  void read_refuse(const Place& place) {
    result_.profile.refuse =
        values_.choice<Refuse, 2>(place, {{{"reject", Refuse::reject}, {"drop", Refuse::drop}}});
  }

  void read_ipv6(const Place& place) { result_.profile.ipv6 = values_.flag(place); }

  void read_uplink(const Place& place) {
    result_.profile.uplink = values_.choice<UplinkChoice, 4>(place, {{{"auto", UplinkChoice::automatic},
                                                                      {"host", UplinkChoice::host},
                                                                      {"pasta", UplinkChoice::pasta},
                                                                      {"none", UplinkChoice::none}}});
  }

  void read_dns(const Place& place) {
    result_.profile.dns =
        values_.choice<DnsChoice, 2>(place, {{{"policy", DnsChoice::policy}, {"none", DnsChoice::none}}});
  }

  void read_upstream(const Place& place) {
    constexpr std::size_t kMaxServers = 8;
    std::vector<NameServer> servers;
    for (const auto& item : values_.texts(place)) {
      auto server = read_name_server(item.text);
      if (!server)
        source_.complain(item.mark, std::move(server).error());
      else if (std::ranges::find(servers, *server) != servers.end())
        complain(item.mark, "this name server is named twice");
      else if (servers.size() == kMaxServers)
        complain(item.mark, "at most " + std::to_string(kMaxServers) + " name servers are asked");
      else
        servers.push_back(*server);
    }
    result_.profile.resolver_upstream = std::move(servers);
  }

  void read_types(const Place& place) {
    result_.profile.resolver_types = read_words(place, read_record_type);
  }

  void read_to(const Place& place) {
    auto items = values_.texts(place);
    place.rule->to.reserve(items.size());
    for (const auto& item : items) {
      auto destination = read_destination(item.text, place.rule->action, services_);
      if (destination)
        place.rule->to.push_back(std::move(*destination));
      else
        source_.complain(item.mark, item.text, std::move(destination).error());
    }
  }

  void read_services(const Place& place) {
    for (auto& item : values_.texts_or_numbers(place)) {
      auto services = read_service(item.text, services_);
      if (services) {
        auto& all = place.rule->services;
        all.insert(all.end(), services->begin(), services->end());
        place.rule->service_texts.push_back(std::move(item.text));
      } else {
        source_.complain(item.mark, std::move(services).error());
      }
    }
  }

  void read_local(const Place& place) { place.rule->local = values_.flag(place).value_or(false); }
  void read_purpose(const Place& place) { place.rule->purpose = values_.text(place).value_or(""); }

  void read_families(const Place& place) {
    const auto known = socket_family_names();
    std::vector<std::string> families;
    for (auto& item : values_.texts(place)) {
      if (std::ranges::find(known, item.text) != known.end()) {
        if (std::ranges::find(families, item.text) == families.end())
          families.push_back(std::move(item.text));
        continue;
      }
      std::string word = lower(item.text);
      if (word.starts_with("af_") || word.starts_with("pf_")) word.erase(0, 3);
      const std::vector<std::string> names(known.begin(), known.end());
      std::string meant = source_.full() ? "" : nearest(word, names).value_or("");
      if (word == "local" || word == "file") meant = "unix";
      if (word == "ipv4") meant = "inet";
      if (word == "ipv6") meant = "inet6";
      complain(item.mark, "no socket family is named " + quote_word(item.text), std::move(meant));
    }
    result_.profile.seccomp_families = std::move(families);
  }

  // True when it is one.
  bool check_account(const Values::Item& item, std::string_view what) {
    if (is_account(item.text)) return true;
    complain(item.mark, quote_word(item.text) + " is no name or number of a " + std::string(what));
    return false;
  }

  void read_user(const Place& place) {
    if (place.entry.value.kind == Node::Kind::list) {
      values_.complain_type(place, place.entry.value);
      return;
    }
    for (auto& item : values_.texts_or_numbers(place)) {
      if (check_account(item, "user")) result_.profile.user = std::move(item.text);
    }
  }

  void read_groups(const Place& place) {
    std::vector<std::string> groups;
    for (auto& item : values_.texts_or_numbers(place)) {
      if (check_account(item, "group")) groups.push_back(std::move(item.text));
    }
    result_.profile.groups = std::move(groups);
  }

  void read_environment(const Place& place) {
    const Node& value = place.entry.value;
    if (value.kind != Node::Kind::table) {
      values_.complain_type(place, value);
      return;
    }
    std::map<std::string, std::string> variables;
    for (const auto& entry : value.entries) {
      if (!is_variable_name(entry.key))
        complain(entry.mark, quote_word(entry.key) + " is no name of an environment variable",
                 "letters, digits and '_', not a digit first");
      if (entry.value.kind != Node::Kind::text)
        complain(entry.value.mark, "the value of " + quote_word(entry.key) + " must be a text in quotes");
      else if (!values_.has_nul(entry.value))
        variables[entry.key] = entry.value.text;
    }
    result_.profile.environment = std::move(variables);
  }

  void read_user_namespaces(const Place& place) { result_.profile.user_namespaces = values_.flag(place); }
  void read_mount_namespaces(const Place& place) { result_.profile.mount_namespaces = values_.flag(place); }

  // Each once; what a reader of words takes for a mistake is told.
  std::vector<std::string> read_words(const Place& place, Word<std::string> (*reader)(std::string_view)) {
    std::vector<std::string> words;
    for (const auto& item : values_.texts(place)) {
      auto word = reader(item.text);
      if (!word)
        source_.complain(item.mark, std::move(word).error());
      else if (std::ranges::find(words, *word) == words.end())
        words.push_back(std::move(*word));
    }
    return words;
  }
  void read_share(const Place& place) { result_.profile.shared = read_words(place, read_shared_path); }
  void read_devices(const Place& place) { result_.profile.devices = read_words(place, read_device); }
  void read_unix(const Place& place) { result_.profile.unix_sockets = read_words(place, read_unix_socket); }

  void read_log_denied(const Place& place) { result_.profile.log_denied = values_.flag(place); }

  std::string_view text_;
  const ServiceTable& services_;
  Source source_;
  Values values_{source_};
  ParsedFile result_;
};

const std::array<Reader::Handling, 26> Reader::kHandlers{{
    {"", "description", &Reader::read_description},
    {"", "extends", &Reader::read_extends},
    {"network", "refuse", &Reader::read_refuse},
    {"network", "ipv6", &Reader::read_ipv6},
    {"network", "uplink", &Reader::read_uplink},
    {"network", "dns", &Reader::read_dns},
    {"network.resolver", "upstream", &Reader::read_upstream},
    {"network.resolver", "types", &Reader::read_types},
    {"allow", "to", &Reader::read_to},
    {"allow", "service", &Reader::read_services},
    {"allow", "local", &Reader::read_local},
    {"allow", "purpose", &Reader::read_purpose},
    {"deny", "to", &Reader::read_to},
    {"deny", "service", &Reader::read_services},
    {"deny", "local", &Reader::read_local},
    {"deny", "purpose", &Reader::read_purpose},
    {"seccomp", "families", &Reader::read_families},
    {"process", "user", &Reader::read_user},
    {"process", "groups", &Reader::read_groups},
    {"process", "environment", &Reader::read_environment},
    {"process", "user-namespaces", &Reader::read_user_namespaces},
    {"process", "mount-namespaces", &Reader::read_mount_namespaces},
    {"process", "share", &Reader::read_share},
    {"process", "devices", &Reader::read_devices},
    {"unix", "allow", &Reader::read_unix},
    {"log", "denied", &Reader::read_log_denied},
}};

}  // namespace

Parsed<ParsedFile> parse_file(std::string_view text, const std::string& file, const ServiceTable& services) {
  return Reader(text, file, services).read();
}

Parsed<Profile> parse_profile(std::string_view text, const std::string& file, const ServiceTable& services) {
  auto parsed = parse_file(text, file, services);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  return std::move(parsed->profile);
}

}  // namespace netjail
