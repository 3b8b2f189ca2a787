#include "dns_service.h"

#include <algorithm>

namespace netjail::dns {
namespace {

constexpr std::uint16_t kMandatory = 0, kPort = 3, kIpv4Hint = 4, kEch = 5, kIpv6Hint = 6;
constexpr std::size_t kParameterFixed = 4;  // key and length

struct Parameter {
  std::uint16_t key = 0;
  Octets value;
  Extent extent;
};

// All of them; nothing when a length lies or the keys do not rise.
std::optional<std::vector<Parameter>> read_parameters(Octets data) {
  std::vector<Parameter> parameters;
  for (std::size_t at = 0; at < data.size();) {
    if (data.size() - at < kParameterFixed) return std::nullopt;
    const std::uint16_t key = number_at(data, at);
    const std::size_t size = number_at(data, at + 2);
    if (size > data.size() - at - kParameterFixed) return std::nullopt;
    if (!parameters.empty() && key <= parameters.back().key) return std::nullopt;
    parameters.push_back({key, data.subspan(at + kParameterFixed, size), {at, kParameterFixed + size}});
    at += kParameterFixed + size;
  }
  return parameters;
}

bool has(const std::vector<Parameter>& parameters, std::uint16_t key) {
  return std::ranges::find(parameters, key, &Parameter::key) != parameters.end();
}

// The keys of a `mandatory` rise, are there, and do not name itself.
bool is_good_mandatory(Octets value, const std::vector<Parameter>& parameters) {
  if (value.empty() || value.size() % 2 != 0) return false;
  std::uint16_t before = kMandatory;
  for (std::size_t at = 0; at < value.size(); at += 2) {
    const std::uint16_t key = number_at(value, at);
    if (key <= before || !has(parameters, key)) return false;
    before = key;
  }
  return true;
}

bool is_good(const Parameter& parameter, const std::vector<Parameter>& all) {
  const std::size_t size = parameter.value.size();
  switch (parameter.key) {
    case kMandatory: return is_good_mandatory(parameter.value, all);
    case kPort: return size == 2;
    case kIpv4Hint: return size != 0 && size % address_size(Family::ipv4) == 0;
    case kIpv6Hint: return size != 0 && size % address_size(Family::ipv6) == 0;
    default: return true;
  }
}

std::optional<Family> hint_family(std::uint16_t key) {
  if (key == kIpv4Hint) return Family::ipv4;
  if (key == kIpv6Hint) return Family::ipv6;
  return std::nullopt;
}

std::vector<Ip> addresses_of(Octets value, Family family) {
  std::vector<Ip> addresses;
  for (; !value.empty(); value = value.subspan(address_size(family)))
    addresses.push_back(make_ip(family, value));
  return addresses;
}

// Fills what is read from service.parameters.
bool read_meaning(Service& service) {
  const auto parameters = read_parameters(service.parameters);
  if (!parameters) return false;
  for (const auto& parameter : *parameters) {
    if (!is_good(parameter, *parameters)) return false;
    if (parameter.key == kPort) service.port = number_at(parameter.value, 0);
    if (parameter.key == kEch) service.ech = parameter.extent;
    if (const auto family = hint_family(parameter.key))
      for (const Ip& ip : addresses_of(parameter.value, *family)) service.hints.push_back(ip);
  }
  return true;
}

}  // namespace

bool passes(const Ip& ip, const Permitted& permitted) {
  if (!permitted(ip)) return false;
  const auto inside = embedded_ipv4(ip);
  return !inside || permitted(*inside);
}

std::optional<Service> read_service(Octets data) {
  if (data.size() < 2) return std::nullopt;
  auto target = read_name(data, 2, false);
  if (!target) return std::nullopt;
  Service service{.priority = number_at(data, 0), .target = std::move(target->name)};
  if (service.priority == 0) return service;
  service.parameters.assign(data.begin() + static_cast<std::ptrdiff_t>(target->end), data.end());
  if (!read_meaning(service)) return std::nullopt;
  return service;
}

Data make_service_data(const Service& service) {
  Data data;
  data.reserve(2 + service.target.wire.size() + service.parameters.size());
  append_number(data, service.priority);
  data.insert(data.end(), service.target.wire.begin(), service.target.wire.end());
  data.insert(data.end(), service.parameters.begin(), service.parameters.end());
  return data;
}

std::optional<Service> filter_service(const Service& service, const Permitted& permitted, Ech ech,
                                      std::vector<Ip>& refused) {
  Service result{.priority = service.priority, .target = service.target};
  const auto parameters = read_parameters(service.parameters).value_or(std::vector<Parameter>{});
  for (const auto& parameter : parameters) {
    Data value(parameter.value.begin(), parameter.value.end());
    if (const auto family = hint_family(parameter.key)) {
      value.clear();
      for (const Ip& ip : addresses_of(parameter.value, *family)) {
        if (passes(ip, permitted)) {
          value.insert(value.end(), ip.octets().begin(), ip.octets().end());
        } else {
          refused.push_back(ip);
        }
      }
      if (value.empty()) continue;
    }
    if (parameter.key == kEch && ech == Ech::strip) continue;
    append_number(result.parameters, parameter.key);
    append_number(result.parameters, value.size());
    result.parameters.insert(result.parameters.end(), value.begin(), value.end());
  }
  // Fails when `mandatory` names what went: without it a client may not use the record at all.
  if (!read_meaning(result)) return std::nullopt;
  return result;
}

}  // namespace netjail::dns
