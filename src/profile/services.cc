// services(5): the table of names, and the common ones for machines without /etc/services.
#include <algorithm>

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

using Table = std::map<std::string, std::vector<Service>, std::less<>>;

void read_line(std::string_view line, Table& table) {
  const auto words = split_words(line.substr(0, line.find('#')));
  if (words.size() < 2) return;
  const auto slash = words[1].find('/');
  if (slash == std::string_view::npos) return;
  const auto port = parse_number(words[1].substr(0, slash), 65535);
  const auto protocol = parse_protocol(words[1].substr(slash + 1));
  // Not our file: what it has beside ports (ddp) is of no concern.
  if (!port || *port == 0 || !protocol || !has_ports(*protocol)) return;
  const auto number = static_cast<std::uint16_t>(*port);
  const Service service{*protocol, PortRange{number, number}, {}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i == 1) continue;
    auto& services = table[lower(words[i])];
    if (std::ranges::find(services, service) == services.end()) services.push_back(service);
  }
}

Table read_table(std::string_view text) {
  Table table;
  for (const auto line : split(text, '\n')) read_line(line, table);
  return table;
}

}  // namespace

ServiceTable::ServiceTable(std::string_view services_file) : table_(read_table(services_file)) {
  table_.merge(read_table(kBuiltIn));
}

std::vector<Service> ServiceTable::find(std::string_view name) const {
  const auto found = table_.find(lower(name));
  return found == table_.end() ? std::vector<Service>{} : found->second;
}

std::vector<std::string> ServiceTable::names() const {
  std::vector<std::string> names;
  for (const auto& [name, services] : table_) names.push_back(name);
  return names;
}

}  // namespace netjail
