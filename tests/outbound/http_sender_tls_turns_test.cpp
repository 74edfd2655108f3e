// Receivers that use TLS to keep the loop busy: with messages of TLS itself that come in part, and with records of a byte.
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "outbound/http_sender.h"
#include "outbound/sender_rig.h"
#include "outbound/tls_rig.h"

namespace outboxd {
namespace {

using test::request_to;
using test::SenderRig;
using test::ServerEnd;
using test::ServerSettings;
using test::TestCertificate;
namespace behaviour = test::behaviour;

// Takes one connection, and leaves it to `serve` to say which bytes go out when: what OpenSSL writes is gathered.
class GatheringServer {
 public:
  class Connection {
   public:
    Connection(const ServerSettings& settings, int fd) : server(settings, fd), fd_(fd) {
      server.shake_hands();
      fcntl(fd, F_SETFL, O_NONBLOCK);
      SSL_set0_wbio(server.ssl(), BIO_new(BIO_s_mem()));
    }
    ~Connection() { close(fd_); }
    Connection(const Connection&) = delete;

    // What has been written since the last call, encrypted.
    std::string gathered() const {
      char* bytes = nullptr;
      BIO* const bio = SSL_get_wbio(server.ssl());
      const long size = BIO_get_mem_data(bio, &bytes);
      std::string all(bytes, static_cast<std::size_t>(size));
      BIO_reset(bio);
      return all;
    }
    void send(std::string_view bytes) const {
      pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
      while (!bytes.empty() && poll(&room, 1, 10'000) > 0) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
      }
    }
    // All that comes until nothing has come for half a second, or until it is so much.
    std::string read(std::size_t most) {
      std::string all;
      pollfd input{.fd = fd_, .events = POLLIN, .revents = 0};
      while (all.size() < most && poll(&input, 1, 500) > 0 && SSL_get_shutdown(server.ssl()) == 0) {
        for (std::string more; !(more = server.read()).empty();) all += more;
      }
      return all;
    }

    ServerEnd server;

   private:
    const int fd_;
  };

  GatheringServer(const TestCertificate& certificate, std::function<void(Connection&)> serve)
      : settings_(certificate, {.tickets = 0}) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(bind(listener_, address, size) == 0);
    REQUIRE(listen(listener_, 1) == 0);
    REQUIRE(getsockname(listener_, address, &size) == 0);
    url = "https://localhost:" + std::to_string(ntohs(name.sin_port)) + "/";
    thread_ = std::thread([this, serve = std::move(serve)] {
      Connection connection(settings_, accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
      serve(connection);
    });
  }
  ~GatheringServer() {
    thread_.join();
    close(listener_);
  }
  GatheringServer(const GatheringServer&) = delete;
  SSL_CTX* context() const { return settings_.context(); }

  std::string url;

 private:
  const ServerSettings settings_;
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::thread thread_;
};

HttpSender::Options options_for(const TestCertificate& certificate) {
  HttpSender::Options options;
  options.ca_file = certificate.file();
  return options;
}

int add_to_ticket(SSL* ssl, void*) {
  const std::string much(3'000, 'x');
  return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much.data(), much.size());
}

SSL_TICKET_RETURN use_ticket(SSL*, SSL_SESSION*, const unsigned char*, std::size_t, SSL_TICKET_STATUS,
                             void*) {
  return SSL_TICKET_RETURN_USE;
}

}  // namespace

TEST_CASE("a session ticket of which only a part has come does not keep the loop turning") {
  const TestCertificate certificate;
  const std::string body(4 << 20, 'x');
  std::promise<void> stalled, go_on;
  GatheringServer server(certificate, [&](GatheringServer::Connection& connection) {
    SSL* const ssl = connection.server.ssl();
    SSL_set_max_send_fragment(ssl, 512);
    SSL_new_session_ticket(ssl);
    SSL_do_handshake(ssl);
    const std::string ticket = connection.gathered();
    const auto length = [&](std::size_t at) {
      return std::size_t{static_cast<unsigned char>(ticket.at(at))};
    };
    const std::size_t first = 5 + length(3) * 256 + length(4);
    connection.send(ticket.substr(0, first));
    std::string got = connection.read(body.size());
    stalled.set_value();
    go_on.get_future().wait();
    connection.send(ticket.substr(first));
    got += connection.read(got.find("\r\n\r\n") + 4 + body.size() - got.size());
    connection.server.write(behaviour::response(got.ends_with(body) ? 200 : 400));
    connection.send(connection.gathered());
    connection.read(1);
  });
  SSL_CTX_set_session_ticket_cb(server.context(), add_to_ticket, use_ticket, nullptr);
  SenderRig rig(options_for(certificate));
  auto result = rig.start(request_to(server.url, body));
  stalled.get_future().wait();
  CHECK(rig.rounds_in(Millis(200)) < 100);
  go_on.set_value();
  CHECK(SenderRig::get(std::move(result)).status == 200);
}

TEST_CASE("a response in records of one byte leaves others their turn") {
  constexpr int kRecords = 15'000;
  const TestCertificate certificate;
  GatheringServer server(certificate, [](GatheringServer::Connection& connection) {
    connection.read(1);
    connection.server.write("HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < kRecords; ++i) connection.server.write("x");
    connection.server.write("\r\nContent-Length: 0\r\n\r\n");
    connection.send(connection.gathered());
    connection.read(1);
  });
  SenderRig rig(options_for(certificate));
  auto result = rig.start(request_to(server.url));
  const int rounds = rig.rounds_in(Millis(2'000));
  CHECK(SenderRig::get(std::move(result)).status == 200);
  CHECK(rounds > kRecords / 32);
}

}  // namespace outboxd
