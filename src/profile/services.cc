// services(5): the table of names, and the common ones for machines without /etc/services.
#include <algorithm>
#include <optional>
#include <set>

#include "netjail/base/text.h"
#include "netjail/profile/profile.h"

namespace netjail {
namespace {

// In the format of the file. A name that the machine's file has is the file's alone.
constexpr std::string_view kBuiltIn = R"(
ftp-data 20/tcp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp
whois 43/tcp
domain 53/tcp
domain 53/udp
tftp 69/udp
http 80/tcp www
kerberos 88/tcp
kerberos 88/udp
pop3 110/tcp
ntp 123/udp
imap2 143/tcp imap
snmp 161/tcp
snmp 161/udp
ldap 389/tcp
ldap 389/udp
https 443/tcp
https 443/udp
submissions 465/tcp ssmtp smtps
syslog 514/udp
submission 587/tcp
ipp 631/tcp
ipp 631/udp
ldaps 636/tcp
ldaps 636/udp
domain-s 853/tcp
domain-s 853/udp
rsync 873/tcp
ftps 990/tcp
imaps 993/tcp
pop3s 995/tcp
openvpn 1194/tcp
openvpn 1194/udp
mqtt 1883/tcp
nfs 2049/tcp
nfs 2049/udp
git 9418/tcp
mysql 3306/tcp
ms-wbt-server 3389/tcp
svn 3690/tcp subversion
sip 5060/tcp
sip 5060/udp
xmpp-client 5222/tcp
postgresql 5432/tcp postgres
amqp 5672/tcp
redis 6379/tcp
http-alt 8080/tcp webcache
http-alt 8080/udp
secure-mqtt 8883/tcp
)";

// One line of the file: port, protocol, and every name. Nothing for a line that names no port.
struct Entry {
  Service service;
  std::vector<std::string_view> names;
};

std::optional<Entry> read_line(std::string_view line) {
  auto words = split_words(line.substr(0, line.find('#')));
  if (words.size() < 2) return std::nullopt;
  const auto slash = words[1].find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto port = parse_number(words[1].substr(0, slash), 65535);
  const auto protocol = parse_protocol(words[1].substr(slash + 1));
  // Not our file: what it has beside ports (ddp) is of no concern.
  if (!port || *port == 0 || !protocol || !has_ports(*protocol)) return std::nullopt;
  const auto number = static_cast<std::uint16_t>(*port);
  words.erase(words.begin() + 1);
  return Entry{{*protocol, PortRange{number, number}, {}}, std::move(words)};
}

// The text is searched, not read into a table: a launch asks for a name or two of some hundreds.
std::vector<Service> find_in(std::string_view text, std::string_view name) {
  std::vector<Service> found;
  std::size_t at = 0;
  while ((at = text.find(name, at)) != text.npos) {
    const std::size_t begin = text.rfind('\n', at) + 1;  // npos + 1 is 0
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const auto entry = read_line(text.substr(begin, end - begin));
    if (entry && std::ranges::find(entry->names, name) != entry->names.end() &&
        std::ranges::find(found, entry->service) == found.end())
      found.push_back(entry->service);
    at = end;
  }
  return found;
}

void add_names(std::string_view text, std::set<std::string>& names) {
  for (const auto line : split(text, '\n'))
    if (const auto entry = read_line(line)) names.insert(entry->names.begin(), entry->names.end());
}

}  // namespace

ServiceTable::ServiceTable(std::string_view services_file) : text_(lower(services_file)) {}

std::vector<Service> ServiceTable::find(std::string_view name) const {
  const std::string wanted = lower(name);
  if (wanted.empty()) return {};
  auto found = find_in(text_, wanted);
  return found.empty() ? find_in(kBuiltIn, wanted) : found;
}

std::vector<std::string> ServiceTable::names() const {
  std::set<std::string> names;
  add_names(text_, names);
  add_names(kBuiltIn, names);
  return {names.begin(), names.end()};
}

}  // namespace netjail
