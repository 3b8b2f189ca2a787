#include "legacy_tables.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "foreign_rule.h"
#include "netjail/base/text.h"
#include "netjail/os/fd.h"

namespace netjail {
namespace {

using Kind = nft::ForeignDrop::Kind;

struct Ipv4 {
  using Info = ipt_getinfo;
  using Entries = ipt_get_entries;
  using Entry = ipt_entry;
  static constexpr int kFamily = AF_INET, kLevel = IPPROTO_IP, kInfo = IPT_SO_GET_INFO,
                       kEntries = IPT_SO_GET_ENTRIES;
  static constexpr const char* kNames = "/proc/thread-self/net/ip_tables_names";
  static constexpr const char* kName = "iptables-legacy";
  static const ipt_ip& conditions(const Entry& entry) { return entry.ip; }
  static bool any_packet(const ipt_ip& ip) {
    return ip.proto == 0 && ip.smsk.s_addr == 0 && ip.dmsk.s_addr == 0 && (ip.flags & IPT_F_FRAG) == 0;
  }
};

struct Ipv6 {
  using Info = ip6t_getinfo;
  using Entries = ip6t_get_entries;
  using Entry = ip6t_entry;
  static constexpr int kFamily = AF_INET6, kLevel = IPPROTO_IPV6, kInfo = IP6T_SO_GET_INFO,
                       kEntries = IP6T_SO_GET_ENTRIES;
  static constexpr const char* kNames = "/proc/thread-self/net/ip6_tables_names";
  static constexpr const char* kName = "ip6tables-legacy";
  static const ip6t_ip6& conditions(const Entry& entry) { return entry.ipv6; }
  static bool any_packet(const ip6t_ip6& ip) {
    return ip.proto == 0 && IN6_IS_ADDR_UNSPECIFIED(&ip.smsk) && IN6_IS_ADDR_UNSPECIFIED(&ip.dmsk);
  }
};

// "eth0", or "br-*" where the mask does not cover the NUL; empty for any, and for all but one.
std::string interface_of(const char* name, const unsigned char* mask, bool inverted) {
  if (inverted || mask[0] == 0) return {};
  const auto masked = static_cast<std::size_t>(std::find(mask, mask + IFNAMSIZ, 0) - mask);
  const std::string out(name, ::strnlen(name, IFNAMSIZ));
  return masked > out.size() || masked == IFNAMSIZ ? out : out.substr(0, masked) + '*';
}

// A table as the kernel hands it over: rules one after the other, chains follow each other.
template <class Ip>
class Table {
 public:
  Table(Octets rules, const typename Ip::Info& info) : rules_(rules), info_(info) {}

  std::vector<nft::ForeignDrop> drops_of(unsigned hook) {
    std::set<nft::ForeignDrop> drops;
    std::set<std::uint32_t> seen{info_.hook_entry[hook]};
    std::vector<std::uint32_t> open{info_.hook_entry[hook]};
    while (!open.empty()) {
      const std::uint32_t start = open.back();
      open.pop_back();
      const bool base = start == info_.hook_entry[hook];
      std::set<std::uint32_t> jumps;
      walk(start, base ? info_.underflow[hook] : ~0u, base, drops, jumps);
      for (const std::uint32_t next : jumps)
        if (seen.insert(next).second) open.push_back(next);
    }
    return {drops.begin(), drops.end()};
  }

 private:
  // A header at an offset, if all of it is there.
  template <class Header>
  bool read(std::size_t at, Header& header) const {
    if (at > rules_.size() || rules_.size() - at < sizeof header) return false;
    std::memcpy(&header, rules_.data() + at, sizeof header);
    return true;
  }

  // A chain's rules, up to its policy or the head of the next chain.
  void walk(std::uint32_t at, std::uint32_t policy, bool base, std::set<nft::ForeignDrop>& drops,
            std::set<std::uint32_t>& jumps) const {
    typename Ip::Entry entry;
    xt_entry_target target;
    while (read(at, entry) && entry.next_offset >= sizeof entry && read(at + entry.target_offset, target)) {
      const std::string_view name(target.u.user.name,
                                  ::strnlen(target.u.user.name, sizeof target.u.user.name));
      if (name == XT_ERROR_TARGET) return;
      nft::ForeignDrop drop;
      const bool invalid = conditions(at, entry, drop);
      drop.rest = drop.rest && base;
      if (name == XT_STANDARD_TARGET) {
        xt_standard_target standard;
        if (!read(at + entry.target_offset, standard)) return;
        const int verdict = standard.verdict;
        if (verdict >= 0 && !invalid) jumps.insert(static_cast<std::uint32_t>(verdict));
        if ((verdict == -NF_DROP - 1 || verdict == -NF_QUEUE - 1) && !invalid) {
          drop.kind = at == policy ? Kind::policy : verdict == -NF_DROP - 1 ? Kind::drop : Kind::queue;
          drops.insert(drop);
        }
      } else if (const auto kind = target_drops(name); kind && !invalid) {
        drop.kind = *kind;
        drops.insert(drop);
      }
      if (at == policy) return;
      at += entry.next_offset;
    }
  }

  // Fills the interfaces, and `rest`; true for a rule about invalid packets alone.
  bool conditions(std::uint32_t at, const typename Ip::Entry& entry, nft::ForeignDrop& drop) const {
    const auto& ip = Ip::conditions(entry);
    drop.in = interface_of(ip.iniface, ip.iniface_mask, (ip.invflags & IPT_INV_VIA_IN) != 0);
    drop.out = interface_of(ip.outiface, ip.outiface_mask, (ip.invflags & IPT_INV_VIA_OUT) != 0);
    drop.rest = Ip::any_packet(ip) && ip.invflags == 0 && ip.iniface_mask[0] == 0 &&
                ip.outiface_mask[0] == 0 && entry.target_offset == sizeof entry;
    bool invalid = false;
    xt_entry_match match;
    for (std::size_t offset = sizeof entry;
         offset < entry.target_offset && read(at + offset, match) && match.u.match_size >= sizeof match &&
         match.u.match_size <= entry.target_offset - offset &&
         at + offset + match.u.match_size <= rules_.size();
         offset += match.u.match_size) {
      const std::string_view name(match.u.user.name, ::strnlen(match.u.user.name, sizeof match.u.user.name));
      invalid = invalid || matches_invalid_only(
                               name, match.u.user.revision,
                               rules_.subspan(at + offset + sizeof match, match.u.match_size - sizeof match));
    }
    return invalid;
  }

  Octets rules_;
  const typename Ip::Info& info_;
};

template <class Ip>
Status list_table(int socket, const std::string& table, std::vector<nft::ForeignChain>& out) {
  const std::string what = std::string("cannot read table ") + table + " of " + Ip::kName;
  for (int attempt = 0; attempt < 20; ++attempt) {
    typename Ip::Info info{};
    table.copy(info.name, sizeof info.name - 1);
    socklen_t size = sizeof info;
    if (::getsockopt(socket, Ip::kLevel, Ip::kInfo, &info, &size) != 0) {
      if (errno == ENOENT) return {};
      return fail_errno(what);
    }
    std::vector<std::byte> buffer(sizeof(typename Ip::Entries) + info.size);
    typename Ip::Entries head{};
    table.copy(head.name, sizeof head.name - 1);
    head.size = info.size;
    std::memcpy(buffer.data(), &head, sizeof head);
    size = static_cast<socklen_t>(buffer.size());
    if (::getsockopt(socket, Ip::kLevel, Ip::kEntries, buffer.data(), &size) != 0) {
      if (errno == EAGAIN) continue;  // it has another size by now
      return fail_errno(what);
    }
    Table<Ip> read(Octets(buffer).subspan(sizeof(typename Ip::Entries)), info);
    static constexpr std::array kHooks{
        std::pair{NF_INET_PRE_ROUTING, "PREROUTING"}, std::pair{NF_INET_FORWARD, "FORWARD"},
        std::pair{NF_INET_LOCAL_OUT, "OUTPUT"}, std::pair{NF_INET_POST_ROUTING, "POSTROUTING"}};
    for (const auto& [hook, name] : kHooks) {
      if ((info.valid_hooks & (1u << hook)) == 0) continue;
      nft::ForeignChain chain{Ip::kName, table, name, static_cast<nft::Hook>(hook), read.drops_of(hook)};
      if (!chain.drops.empty()) out.push_back(std::move(chain));
    }
    return {};
  }
  return fail(what, "it keeps changing");
}

template <class Ip>
Status list_family(std::vector<nft::ForeignChain>& out) {
  const auto names = read_file(Ip::kNames, 4096);
  if (!names || names->empty()) return {};  // no such module, or no table in use
  const Fd socket(::socket(Ip::kFamily, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(std::string("cannot ask for the tables of ") + Ip::kName);
  for (const std::string_view name : split(*names, '\n'))
    if (!name.empty() && name != "nat") NJ_TRY(list_table<Ip>(socket.get(), std::string(name), out));
  return {};
}

}  // namespace

Status list_legacy_chains(std::vector<nft::ForeignChain>& out) {
  NJ_TRY(list_family<Ipv4>(out));
  return list_family<Ipv6>(out);
}

}  // namespace netjail
