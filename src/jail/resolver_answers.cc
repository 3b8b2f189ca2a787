// What becomes of a question, and who gets its answer.
#include <algorithm>

#include "dns_reply.h"
#include "resolver_server.h"

namespace netjail {
namespace {

// Clients of one question; more of them are as good as a flood.
constexpr std::size_t kMostOfOne = 64;
// Of so many the oldest makes way: not the oldest of all, but nobody has to be looked for.
constexpr int kSample = 8;

}  // namespace

void Server::take(dns::Octets message, const Client& client) {
  const dns::Query query = dns::check_question(message);
  if (query.fate != dns::Query::Fate::forward) return take_odd(message, query, client);
  ++desk_.counts.questions;
  const dns::Question& question = *query.question;
  const auto& types = desk_.settings.types;
  if (!types.empty() && std::ranges::find(types, question.type) == types.end())
    return take_odd(message, {query.fate, dns::Rcode::refused, query.question}, client);

  dns::Name name = dns::read_name(message, dns::kHeader, false)->name;
  const auto now = Clock::now();
  Ruling ruling = names_.judge(name, question.type, now);
  if (ruling.fate == Ruling::Fate::reply) return reply(ruling.reply, message, question, client);
  std::string key = question_key(name, question.type);
  if (const dns::Filtered* kept = cache_of(ruling.verdict).find(key, now)) {
    ++desk_.counts.cached;
    return reply(*kept, message, question, client);
  }
  if (const auto found = lookups_.find(key); found != lookups_.end())
    return join(found->second, message, question, client);
  if (full()) make_way();
  if (full()) return drop(client);
  if (!names_.spend(name, ruling.verdict, now)) return reply_failure(message, question, client);
  Lookup lookup{std::move(name), question.type, std::move(ruling.verdict), {}};
  join(lookup, message, question, client);
  look_up(key, std::move(lookup));
}

// What is no question that could be asked.
void Server::take_odd(dns::Octets message, const dns::Query& query, const Client& client) {
  if (!query.question) {
    ++desk_.counts.malformed;
    if (query.fate == dns::Query::Fate::drop) {
      if (const auto* connection = std::get_if<std::shared_ptr<Connection>>(&client))
        (*connection)->no_answer();
      return;
    }
    return send(dns::make_answer(message, std::nullopt, query.rcode), client);
  }
  if (query.rcode == dns::Rcode::refused)
    names_.refuse(
        {dns::printable_name(message), RefusedName::Why::type, dns::type_name(query.question->type), 1});
  send(dns::make_answer(message, query.question, query.rcode), client);
}

void Server::join(Lookup& lookup, dns::Octets message, const dns::Question& question, const Client& client) {
  if (lookup.waiters.size() >= kMostOfOne || waiting_ >= desk_.settings.max_waiting) return drop(client);
  ++waiting_;
  lookup.waiters.push_back({client, {message.begin(), message.end()}, question});
}

void Server::look_up(const std::string& key, Lookup lookup) {
  auto exchange = std::make_shared<Exchange>(desk_, lookup.name, lookup.type,
                                             [this, key](Exchange& done, std::optional<dns::Answer> answer) {
                                               take_out(exchanges_, done);
                                               looked_up(key, std::move(answer), done.given_up());
                                             });
  lookups_.insert_or_assign(key, std::move(lookup));
  put(exchanges_, exchange);
  exchange->start(Clock::now());
  wake_at(exchange->deadline());
}

void Server::looked_up(const std::string& key, std::optional<dns::Answer> answer, bool given_up) {
  auto node = lookups_.extract(key);
  if (node.empty()) return;
  const Lookup& lookup = node.mapped();
  waiting_ -= lookup.waiters.size();
  const auto now = Clock::now();
  std::optional<dns::Filtered> filtered;
  if (answer) filtered = names_.open(std::move(*answer), lookup.type, lookup.verdict, now);
  if (!filtered) {
    filtered.emplace();
    filtered->answer = {.rcode = dns::Rcode::server_failure, .chain = {lookup.name}};
  }
  for (const Waiter& waiter : lookup.waiters) {
    if (given_up)
      drop(waiter.client);
    else
      reply(*filtered, waiter.query, waiter.question, waiter.client);
  }
  cache_of(lookup.verdict).keep(key, std::move(*filtered), now);
}

// Who can ask for names without end must not push out what keeps exact names from being asked again: the
// profile bounds those.
AnswerCache& Server::cache_of(const NameVerdict& verdict) {
  return verdict.wildcard || verdict.groups.empty() ? cache_ : exact_cache_;
}

bool Server::full() const {
  return exchanges_.size() >= desk_.settings.max_in_flight || waiting_ >= desk_.settings.max_waiting;
}

// What has waited longest waits most likely in vain: questions that nobody answers do not keep out those that
// somebody does, however many there are.
void Server::make_way() {
  std::shared_ptr<Exchange> oldest;
  for (int count = 0; count < kSample && !exchanges_.empty(); ++count) {
    const auto& one = exchanges_[desk_.random.number() % exchanges_.size()];
    if (!oldest || one->started() < oldest->started()) oldest = one;
  }
  if (oldest) oldest->give_up();
}

void Server::reply(const dns::Filtered& filtered, dns::Octets query, const dns::Question& question,
                   const Client& client) {
  ++(filtered.answer.rcode == dns::Rcode::server_failure ? desk_.counts.failed : desk_.counts.answered);
  auto message = dns::make_reply(filtered, query, question);
  if (std::holds_alternative<Datagram>(client) && message.size() > question.udp_size) {
    dns::Filtered cut;
    cut.answer.rcode = filtered.answer.rcode;
    cut.answer.truncated = true;
    cut.answer.chain = {filtered.answer.chain.front()};
    message = dns::make_reply(cut, query, question);
  }
  send(message, client);
}

void Server::reply_failure(dns::Octets query, const dns::Question& question, const Client& client) {
  ++desk_.counts.failed;
  send(dns::make_answer(query, question, dns::Rcode::server_failure), client);
}

void Server::send(dns::Octets message, const Client& client) {
  if (const auto* datagram = std::get_if<Datagram>(&client))
    send_udp(message, *datagram);
  else
    std::get<std::shared_ptr<Connection>>(client)->answer(message);
}

// More than can be served: as if the network had lost it.
void Server::drop(const Client& client) {
  ++desk_.counts.dropped;
  if (const auto* connection = std::get_if<std::shared_ptr<Connection>>(&client)) (*connection)->close();
}

}  // namespace netjail
