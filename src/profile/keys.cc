#include "netjail/profile/keys.h"

#include <algorithm>
#include <array>

namespace netjail {
namespace {

constexpr std::string_view kFlag = "true or false";
constexpr std::string_view kText = "a text in quotes";
constexpr std::string_view kTexts = "a list of texts, such as [\"a\", \"b\"]";
constexpr std::string_view kTo = "a list of destinations, such as [\"*.example.org\", \"203.0.113.0/24\"]";
constexpr std::string_view kService = "a list of services, such as [\"https\", \"53/udp\"]";
constexpr std::string_view kCountries = "a list of country codes, such as [\"NZ\"]";
constexpr std::string_view kDate = "a date, such as 2027-01-01";
constexpr std::string_view kNumber = "a whole number";
constexpr std::string_view kRate = "a rate in quotes, such as \"50/second\"";
constexpr std::string_view kBits = "a bit rate in quotes, such as \"10mbit\"";
constexpr bool kNow = true, kLater = false;

// One sentence each; no full stop inside. The defaults are those of make_policy.
constexpr KeyInfo kKeys[] = {
    {"", "description", kText, "", "What the profile is for, shown by `netjail profiles`.", kNow},
    {"", "extends", "a list of profiles, such as [\"internet\"]", "",
     "Profiles that this one is merged with, by name or by a path relative to this file: lists add up, a "
     "single value "
     "of the nearer file wins.",
     kNow},

    {"network", "refuse", "\"reject\" or \"drop\"", "\"reject\"",
     "How a refused packet is answered: `reject` fails at once (TCP reset, ICMP prohibited), `drop` is "
     "silence.",
     kNow},
    {"network", "ipv6", kFlag, "true", "Whether the jail has IPv6 at all.", kNow},
    {"network", "uplink", "\"auto\", \"host\", \"pasta\" or \"none\"", "\"auto\"",
     "How the jail reaches the world: `host` is a veth pair and masquerading on the host, for root; `pasta` "
     "is "
     "pasta(1), for everybody, which leaves the host's forwarding and tables alone; `none` is no way out, "
     "and "
     "`auto` takes `host` for root, `pasta` without, and where another firewall can drop what the host "
     "forwards.",
     kNow},
    {"network", "dns", "\"policy\" or \"none\"", "\"policy\"",
     "`policy` answers in the jail, by netjail's own resolver, the names that the rules allow; `none` "
     "answers "
     "none, so that a rule by name opens nothing.",
     kNow},

    {"network.resolver", "upstream",
     "a list of addresses, such as [\"203.0.113.53\", \"[2001:db8::53]:5353\"]", "",
     "Name servers that netjail's resolver asks, in this order and at most 8, instead of those of the host's "
     "`/etc/resolv.conf`; it asks from the host, so that 127.0.0.1 is the host's, and at port 53 unless "
     "another is given.",
     kNow},
    {"network.resolver", "types", "a list of record types, such as [\"A\", \"AAAA\"]",
     "[\"A\", \"AAAA\", \"CNAME\", \"HTTPS\", \"SVCB\", \"MX\", \"SRV\", \"TXT\", \"PTR\"]",
     "Record types that may be asked for; without `A` and `AAAA` no name gets an address.", kNow},

    {"allow", "to", kTo, "",
     "Where the rule allows packets to: `internet` (everything but local addresses), `any`, an address, a "
     "CIDR, a name, `*.` and a name for every name below it, or a named set, such as `@apt-sources`.",
     kNow},
    {"allow", "service", kService, "",
     "Which services of them: names of services(5), ports, ranges, `tcp`, `udp`, `icmp`, `ping`, `gre/ip`; "
     "without the key the web (443/tcp, 443/udp, 80/tcp) of names, and every protocol and port of the "
     "others.",
     kNow},
    {"allow", "local", kFlag, "false",
     "Whether `any` and `internet` cover local addresses too (private, link-local, metadata), and whether "
     "names may have them: without it a name whose address is local is refused, so that nobody who runs its "
     "DNS can point it into the local network (rebinding); a CIDR that is named needs it not.",
     kNow},
    {"allow", "purpose", kText, "", "What the rule is for; documentation only.", kNow},
    {"allow", "rate", kRate, "", "New connections that the rule admits per time.", kLater},
    {"allow", "hours", "a time of day in quotes, such as \"09:00-17:00\"", "",
     "Local time in which the rule holds.", kLater},
    {"allow", "days", "a list of days, such as [\"mon-fri\"]", "", "Days on which the rule holds.", kLater},
    {"allow", "until", kDate, "", "Date after which the rule holds no more.", kLater},
    {"allow", "user", kTexts, "", "Users inside the jail to whom the rule applies.", kLater},
    {"allow", "group", kTexts, "", "Groups inside the jail to whom the rule applies.", kLater},
    {"allow", "country", kCountries, "", "Countries of the destinations, by the database of [geoip].",
     kLater},
    {"allow", "log", kFlag, "false", "Whether the rule's connections are recorded.", kLater},
    {"allow", "justification", kText, "",
     "Why the rule is needed; documentation, checked by `netjail check`.", kLater},
    {"allow", "risk", "\"low\", \"medium\" or \"high\"", "", "What the rule risks; documentation.", kLater},
    {"allow", "review", kDate, "", "Date by which somebody looks at the rule again.", kLater},
    {"allow", "owner", kText, "", "Who answers for the rule; documentation.", kLater},

    {"deny", "to", kTo, "",
     "Where the rule denies packets to, as in [[allow]]; a denial beats every allowance.", kNow},
    {"deny", "service", kService, "",
     "Which services of them; without the key every protocol and port, and names are not answered at all.",
     kNow},
    {"deny", "local", kFlag, "false",
     "Whether `internet` covers local addresses too; `any` and names do so anyway.", kNow},
    {"deny", "purpose", kText, "", "What the rule is for; documentation only.", kNow},
    {"deny", "hours", "a time of day in quotes, such as \"09:00-17:00\"", "",
     "Local time in which the rule holds.", kLater},
    {"deny", "days", "a list of days, such as [\"mon-fri\"]", "", "Days on which the rule holds.", kLater},
    {"deny", "until", kDate, "", "Date after which the rule holds no more.", kLater},
    {"deny", "user", kTexts, "", "Users inside the jail to whom the rule applies.", kLater},
    {"deny", "group", kTexts, "", "Groups inside the jail to whom the rule applies.", kLater},
    {"deny", "country", kCountries, "", "Countries of the destinations, by the database of [geoip].", kLater},
    {"deny", "log", kFlag, "false", "Whether the rule's refusals are recorded.", kLater},
    {"deny", "justification", kText, "", "Why the rule is needed; documentation, checked by `netjail check`.",
     kLater},
    {"deny", "risk", "\"low\", \"medium\" or \"high\"", "", "What the rule risks; documentation.", kLater},
    {"deny", "review", kDate, "", "Date by which somebody looks at the rule again.", kLater},
    {"deny", "owner", kText, "", "Who answers for the rule; documentation.", kLater},

    {"limits", "connections", kNumber, "", "Connections open at one time.", kLater},
    {"limits", "new-connections", kRate, "", "New connections per time.", kLater},
    {"limits", "upload", kBits, "", "Bit rate from the jail.", kLater},
    {"limits", "download", kBits, "", "Bit rate to the jail.", kLater},
    {"limits", "transfer", "a size in quotes, such as \"2GiB\"", "", "Octets in both directions together.",
     kLater},

    {"seccomp", "families", "a list of socket families, such as [\"unix\", \"inet\"]",
     "[\"unix\", \"inet\", \"inet6\", \"netlink\"]",
     "Families of sockets that the program can open; without `unix` it can still make pairs of connected "
     "unix "
     "sockets, which reach nobody else.",
     kNow},

    {"process", "user", "a user name or number", "", "User that the program runs as.", kNow},
    {"process", "groups", "a list of group names or numbers", "", "Supplementary groups of the program.",
     kNow},
    {"process", "environment", "a table of texts, such as { LANG = \"C.UTF-8\" }", "",
     "Environment variables that are set for the program, beside those it inherits.", kNow},
    {"process", "hide", kTexts, "", "Paths that the program finds empty.", kLater},
    {"process", "keep", kTexts, "", "Capabilities that the program keeps.", kLater},
    {"process", "user-namespaces", kFlag, "false",
     "Whether the program can make user namespaces, and in them others but mount namespaces, as the sandbox "
     "of Chromium does; not for user 0. It reaches more of the kernel by them.",
     kNow},
    {"process", "mount-namespaces", kFlag, "false",
     "Whether the program can make mount namespaces, too, in user namespaces of its own, as bubblewrap does; "
     "by them it reaches unix sockets of its user's that lie outside `/run`, `/tmp` and `/var/tmp`.",
     kNow},

    {"process", "share", "a list of paths, such as [\"/tmp\"]", "",
     "Folders and files of the host's below /tmp, /var/tmp, /run and /dev/shm, of which the program has its "
     "own, empty ones else; the working directory, and what the command line names below the first two, is "
     "shared without being named here.",
     kNow},
    {"process", "devices", "a list of paths, such as [\"/dev/dri\"]", "",
     "Devices of the host's that the program finds in its /dev beside null, zero, full, random, urandom, tty "
     "and pseudo-terminals; one that the host has not is left out.",
     kNow},

    {"unix", "allow", "a list of sockets, such as [\"wayland\", \"/run/x.sock\"]", "",
     "Unix sockets outside the jail that the program can reach, by path or by one of the names below; each "
     "makes a process outside act for the program.",
     kNow},

    {"publish", "listen", "an address in quotes, such as \"127.0.0.1:8080/tcp\"", "",
     "Address on the host at which a port of the jail is offered.", kLater},
    {"publish", "to", "a port number", "", "Port inside the jail.", kLater},

    {"host", "port", "a port number", "", "Port on the host's loopback that is made reachable in the jail.",
     kLater},

    {"log", "denied", kFlag, "true", "Whether refused packets are recorded and explained.", kNow},
    {"log", "allowed", kFlag, "false", "Whether allowed connections are recorded.", kLater},
    {"log", "file", "a path in quotes", "", "File that the records are written to, as JSON lines.", kLater},
    {"log", "prefix", kText, "", "Text that each record begins with.", kLater},

    {"alerts", "connections", kNumber, "", "Connections at one time that are worth an alert.", kLater},
    {"alerts", "new-connections", kRate, "", "New connections per time that are worth an alert.", kLater},
    {"alerts", "ports", "\"unusual\"", "", "Whether unusual ports are worth an alert.", kLater},
    {"alerts", "then", "\"log\" or \"kill\"", "\"log\"", "What an alert does.", kLater},

    {"lsm", "apparmor", kText, "", "AppArmor profile that the program changes to.", kLater},
    {"lsm", "selinux", kText, "", "SELinux context that the program changes to.", kLater},
    {"lsm", "landlock", kFlag, "false", "Whether Landlock confines the program too.", kLater},

    {"geoip", "database", "a path in quotes", "", "Database of the countries (.mmdb).", kLater},

    {"services", "NAME", kService, "", "A service of one's own, by a name that rules can use.", kLater},
};

constexpr std::array<std::string_view, 9> kRecordTypes{"A",  "AAAA", "CNAME", "HTTPS", "SVCB",
                                                       "MX", "SRV",  "TXT",   "PTR"};

constexpr std::array<std::string_view, 7> kUnixPresets{"wayland",     "x11",        "pulse",    "pipewire",
                                                       "session-bus", "system-bus", "ssh-agent"};

// Those that a profile may want come first: a suggestion takes the first of several that are as near.
constexpr std::array<std::string_view, 45> kFamilyNames{
    "unix",   "inet",    "inet6",  "netlink", "packet",  "vsock",    "bluetooth",  "can",     "alg",
    "xdp",    "tipc",    "smc",    "rds",     "kcm",     "nfc",      "ieee802154", "qipcrtr", "ax25",
    "mctp",   "llc",     "rxrpc",  "pppox",   "key",     "phonet",   "appletalk",  "ipx",     "x25",
    "netrom", "rose",    "atmpvc", "atmsvc",  "caif",    "isdn",     "decnet",     "irda",    "ib",
    "mpls",   "wanpipe", "iucv",   "bridge",  "netbeui", "security", "ash",        "econet",  "sna"};

}  // namespace

std::span<const KeyInfo> profile_keys() { return kKeys; }

const KeyInfo* find_key(std::string_view table, std::string_view key) {
  const auto* found = std::ranges::find_if(
      kKeys, [&](const KeyInfo& info) { return info.table == table && info.key == key; });
  return found == std::end(kKeys) ? nullptr : found;
}

std::vector<std::string> keys_of(std::string_view table) {
  std::vector<std::string> keys;
  for (const auto& info : kKeys) {
    if (info.table == table) keys.emplace_back(info.key);
  }
  return keys;
}

std::vector<std::string> key_tables() {
  std::vector<std::string> tables;
  for (const auto& info : kKeys) {
    if (tables.empty() || tables.back() != info.table) tables.emplace_back(info.table);
  }
  return tables;
}

bool is_table_list(std::string_view table) {
  return table == "allow" || table == "deny" || table == "publish" || table == "host";
}

bool is_supported_table(std::string_view table) {
  return std::ranges::any_of(kKeys,
                             [&](const KeyInfo& info) { return info.table == table && info.supported; });
}

std::span<const std::string_view> record_type_names() { return kRecordTypes; }

std::span<const std::string_view> socket_family_names() { return kFamilyNames; }

std::span<const std::string_view> unix_preset_names() { return kUnixPresets; }

}  // namespace netjail
