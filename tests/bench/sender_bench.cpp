// What a POST costs on the client's side: CPU time of the sender's thread and requests a second, over any number of
// connections, plain or with TLS 1.3; or the memory of requests that wait for their answers. Uses the interface of
// HttpSender alone, so that two senders can be compared. Not a test.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/post_receiver.h"
#include "outbound/http_sender.h"

namespace {

using namespace outboxd;
using bench::PostReceiver;

constexpr const char* kUsage =
    "usage: sender_bench [OPTION...]\n"
    "  --connections N   as many requests are always in flight, each on a connection of its own (64)\n"
    "  --tls MODE        none; kept: TLS 1.3 on kept connections; handshake: a full one for each request;\n"
    "                    resumed: one for each request, with the session of an earlier connection (none)\n"
    "  --requests N      in each round (50000)\n"
    "  --rounds N        medians are of so many (5)\n"
    "  --body N          bytes (512)\n"
    "  --hang N          instead: the memory of N requests that are never answered\n";

struct Arguments {
  std::size_t connections = 64, requests = 50'000, rounds = 5, body = 512, hang = 0;
  std::string tls = "none";
  bool in_tls() const { return tls != "none"; }
  bool keeps() const { return tls == "none" || tls == "kept"; }
};

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "sender_bench: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) refuse(name + " has no value");
    const std::string value = argv[i + 1];
    if (name == "--tls") {
      if (value != "none" && value != "kept" && value != "handshake" && value != "resumed")
        refuse("there is no --tls " + value);
      arguments.tls = value;
      continue;
    }
    std::size_t* const number = name == "--connections" ? &arguments.connections
                                : name == "--requests"  ? &arguments.requests
                                : name == "--rounds"    ? &arguments.rounds
                                : name == "--body"      ? &arguments.body
                                : name == "--hang"      ? &arguments.hang
                                                        : nullptr;
    if (number == nullptr) refuse("there is no option " + name);
    *number = std::strtoul(value.c_str(), nullptr, 10);
    if (*number == 0) refuse(name + " takes a number over 0");
  }
  return arguments;
}

void allow_files(std::size_t connections) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < connections + 100) {
    refuse("the hard limit of open files is " + std::to_string(limit.rlim_cur) + ", too low for " +
           std::to_string(connections) + " connections");
  }
}

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A sender that has several pools of connections is given as many as the daemon gives it for thousands of requests.
template <class Options>
void use_pools(Options& options, std::size_t connections) {
  if constexpr (requires { options.connection_pools; })
    options.connection_pools = connections > 1000 ? 32 : 1;
}

HttpSender::Options sender_options(const Arguments& arguments, const test::TestCertificate& certificate) {
  const std::size_t connections = std::max(arguments.connections, arguments.hang);
  HttpSender::Options options;
  options.max_idle_connections = connections;
  if (arguments.in_tls()) options.ca_file = certificate.file();
  use_pools(options, connections);
  return options;
}

std::shared_ptr<const AddressPolicy> loopback_policy() {
  AddressPolicy::Options allowed;
  allowed.allow_http = true;
  allowed.ports = {};
  allowed.allow_networks = {*Network::parse("127.0.0.0/8")};
  return std::make_shared<const AddressPolicy>(allowed);
}

// Keeps as many requests in flight as there are connections, each to a URL of its own.
class Load {
 public:
  Load(const Arguments& arguments, const PostReceiver& receiver, const test::TestCertificate& certificate)
      : arguments_(arguments),
        receiver_(receiver),
        sender_(loop_, loopback_policy(), sender_options(arguments, certificate)) {
    RequestHeaders common;
    common.add("user-agent", "outboxd/0.1.0");
    request_.headers.add("content-type", "application/json");
    request_.headers.add("webhook-id", "evt_0123456789abcdef0123456789abcdef");
    request_.headers.add("webhook-timestamp", "1767225600");
    request_.headers.add("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    request_.headers.add("outboxd-event-type", "order.paid");
    request_.headers.add("outboxd-attempt", "1");
    request_.body = std::make_shared<const std::string>(arguments.body, 'x');
    request_.timeout = request_.connect_timeout = Millis(100'000);  // thousands of handshakes take their time
    const std::string scheme = arguments.in_tls() ? "https://127.0.0.1:" : "http://127.0.0.1:";
    const std::size_t urls = std::max(arguments.connections, arguments.hang);
    urls_.reserve(urls);
    for (std::size_t i = 0; i < urls; ++i) {
      const auto port = receiver.ports()[i % PostReceiver::kPorts];
      urls_.push_back(std::make_shared<const Destination>(
          *parse_endpoint_url(scheme + std::to_string(port) + "/hook/" + std::to_string(i)), common));
    }
  }

  bool measure_cpu() {
    begin_round(arguments_.connections);  // opens the connections, not measured
    loop_.run();
    if (failures_ > 0) return false;
    std::printf("%-9s %6zu connections: %6.1f us of CPU a POST, %6.0f/s   (medians of %zu rounds of %zu; ",
                arguments_.tls.c_str(), arguments_.connections, median(cpu_), median(rate_),
                arguments_.rounds, arguments_.requests);
    std::printf("%zu connections before them, %zu new in them)\n", opened_before_,
                receiver_.counts().accepted - opened_before_);
    return true;
  }

  bool measure_memory() {
    const std::size_t before = resident_bytes();
    deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    for (std::size_t i = 0; i < arguments_.hang; ++i) send(i);
    look_again();
    loop_.run();
    const std::size_t held = std::max<std::size_t>(receiver_.counts().requests, 1);
    const auto bytes = static_cast<double>(resident_bytes() - before);
    std::printf("%-9s %6zu in flight: %6.0f bytes each\n", arguments_.tls.c_str(), held,
                bytes / static_cast<double>(held));
    return failures_ == 0 && held == arguments_.hang;
  }

  const std::string& error() const { return error_; }

 private:
  void begin_round(std::size_t requests) {
    to_send_ = requests;
    began_ = std::chrono::steady_clock::now();
    cpu_before_ = thread_cpu_seconds();
    for (std::size_t i = 0; i < arguments_.connections && to_send_ > 0; ++i) send(i);
  }

  void send(std::size_t slot) {
    request_.to = urls_[slot];
    ++in_flight_;
    if (to_send_ > 0) --to_send_;
    sender_.send(request_, [this, slot](const SendResult& result) { on_result(slot, result); });
  }

  void on_result(std::size_t slot, const SendResult& result) {
    --in_flight_;
    if (result.outcome != Outcome::kSuccess && !result.aborted) {
      ++failures_;
      error_ = result.error;
    }
    if (to_send_ > 0) return send(slot);
    if (in_flight_ == 0) end_round();
  }

  void end_round() {
    if (opened_before_ == 0) {
      opened_before_ = receiver_.counts().accepted;
    } else {
      const auto count = static_cast<double>(arguments_.requests);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
      cpu_.push_back((thread_cpu_seconds() - cpu_before_) / count * 1e6);
      rate_.push_back(count / took.count());
    }
    if (failures_ > 0 || cpu_.size() == arguments_.rounds) return loop_.stop();
    begin_round(arguments_.requests);
  }

  // Until the receiver has all requests that it will never answer.
  void look_again() {
    const auto now = std::chrono::steady_clock::now();
    if (receiver_.counts().requests == arguments_.hang || failures_ > 0 || now > deadline_)
      return loop_.stop();
    loop_.call_at(now + Millis(20), [this] { look_again(); });
  }

  const Arguments& arguments_;
  const PostReceiver& receiver_;
  EventLoop loop_;
  HttpSender sender_;
  SendRequest request_;
  std::vector<std::shared_ptr<const Destination>> urls_;
  std::size_t to_send_ = 0, in_flight_ = 0, failures_ = 0, opened_before_ = 0;
  std::string error_;
  MonotonicTime began_, deadline_;
  double cpu_before_ = 0;
  std::vector<double> cpu_, rate_;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  allow_files(std::max(arguments.connections, arguments.hang));
  test::TestCertificate::Options subject;
  subject.host = "127.0.0.1";
  const test::TestCertificate certificate(subject);
  PostReceiver::Options options;
  if (arguments.in_tls()) options.certificate = certificate;
  options.answers = arguments.hang == 0;
  options.keeps_connections = arguments.keeps();
  options.resumes_sessions = arguments.tls == "resumed";
  const PostReceiver receiver(options);
  Load load(arguments, receiver, certificate);
  if (arguments.hang > 0 ? load.measure_memory() : load.measure_cpu()) return 0;
  std::fprintf(stderr, "sender_bench: not all requests ended as they should: %s\n", load.error().c_str());
  return 1;
}
