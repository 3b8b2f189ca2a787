// The jail's side of the resolver: its sockets, who waits for what, the time of all. resolver.cc has the
// sockets, resolver_answers.cc what becomes of a question.
#pragma once

#include <netinet/in.h>

#include <asio/steady_timer.hpp>
#include <unordered_map>
#include <variant>

#include "resolver_cache.h"
#include "resolver_connection.h"
#include "resolver_exchange.h"
#include "resolver_names.h"

namespace netjail {

struct Datagram {
  sockaddr_in6 address{};  // or a sockaddr_in
  socklen_t length = sizeof(sockaddr_in6);
};
// Where a question came from.
using Client = std::variant<Datagram, std::shared_ptr<Connection>>;

// Who waits for an answer, and how he asked.
struct Waiter {
  Client client;
  dns::Data query;
  dns::Question question;
};
struct Lookup {
  dns::Name name;
  std::uint16_t type;
  NameVerdict verdict;
  std::vector<Waiter> waiters;
};

// Owned objects, each of which knows its place: taking one out costs nothing and may be done by itself.
template <class T>
void put(std::vector<std::shared_ptr<T>>& all, std::shared_ptr<T> one) {
  one->slot = all.size();
  all.push_back(std::move(one));
}
template <class T>
void take_out(std::vector<std::shared_ptr<T>>& all, const T& one) {
  const std::size_t slot = one.slot;
  all.back()->slot = slot;
  std::swap(all[slot], all.back());
  all.pop_back();
}

// Lives until the loop has dropped its last handler, which may be after the Resolver.
class Server : public std::enable_shared_from_this<Server> {
 public:
  // Of the settings everything is kept but the policy, which can be large.
  Server(asio::io_context& loop, ResolverSettings settings, ResolverHooks hooks)
      : names_(settings, std::move(hooks)),
        desk_{.loop = loop,
              .settings = {},
              .upstreams = Upstreams(settings.upstreams, settings.resolv_conf),
              .counts = {},
              .random = {}},
        udp_(loop),
        tcp_(loop),
        timer_(loop) {
    settings.policy = {};
    settings.hosts = {};
    desk_.settings = std::move(settings);
  }

  Status start(Fd udp, Fd tcp);
  void stop();
  const ResolverCounts& counts() {
    desk_.counts.refused = names_.refused();
    return desk_.counts;
  }
  std::string name_of(const Ip& address) const { return names_.name_of(address); }

 private:
  void wait_udp();
  void read_udp();
  void send_udp(dns::Octets message, const Datagram& to);
  void flush_udp();

  void wait_tcp();
  void accept();
  void add_connection(Fd socket);
  void make_room();

  void take(dns::Octets message, const Client& client);
  void take_odd(dns::Octets message, const dns::Query& query, const Client& client);
  void join(Lookup& lookup, dns::Octets message, const dns::Question& question, const Client& client);
  void look_up(const std::string& key, Lookup lookup);
  void looked_up(const std::string& key, std::optional<dns::Answer> answer, bool given_up);
  AnswerCache& cache_of(const NameVerdict& verdict);
  bool full() const;
  void make_way();
  void reply(const dns::Filtered& filtered, dns::Octets query, const dns::Question& question,
             const Client& client);
  void reply_failure(dns::Octets query, const dns::Question& question, const Client& client);
  void send(dns::Octets message, const Client& client);
  void drop(const Client& client);

  void wake_at(Clock::time_point when);
  void sweep();

  Names names_;
  Desk desk_;
  AnswerCache cache_;
  AnswerCache exact_cache_;  // of names that rules name
  asio::posix::stream_descriptor udp_;
  // What one turn of the loop has to say leaves at its end: it costs the kernel more to wake a sleeping
  // client than to send, and one that has been woken finds all.
  struct Outgoing {
    dns::Data message;
    Datagram to;
  };
  std::vector<Outgoing> outgoing_;
  asio::posix::stream_descriptor tcp_;
  // One timer for all. It is set to the earliest time-out and looks at everybody when it fires; a question
  // that was answered in time, as almost all are, never touches it.
  asio::steady_timer timer_;
  Clock::time_point wake_ = Clock::time_point::max();
  bool accept_paused_ = false;
  bool stopped_ = false;
  std::unordered_map<std::string, Lookup> lookups_;  // by question_key
  std::size_t waiting_ = 0;
  std::vector<std::shared_ptr<Exchange>> exchanges_;
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace netjail
