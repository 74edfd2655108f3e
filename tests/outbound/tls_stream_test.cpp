// The TLS client after its handshake, step by step: what moves, what an end means, and TLS inside TLS.
#include "outbound/tls_stream.h"

#include <algorithm>

#include "common/clock.h"
#include "outbound/tls_rig.h"

namespace outboxd {
namespace {

using test::ByteLine;
using test::Connected;
using test::context_of;
using test::kVersions;
using test::read_all;
using test::ServerEnd;
using test::ServerSettings;
using test::shake_hands;
using test::SocketPair;
using test::Step;
using test::TestCertificate;
using test::trusting;

std::string forged_record() {
  return std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
}

TEST_CASE("bytes go both ways, and the end is told by both sides") {
  const TestCertificate certificate({.last_day = 5});
  for (const int version : kVersions) {
    CAPTURE(version);
    Connected c(ServerSettings(certificate, {.version = version}), context_of(trusting(certificate)));
    REQUIRE(c.step == Step::kDone);
    CHECK(c.client.protocol() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
    CHECK_FALSE(c.client.resumed());
    REQUIRE(c.client.certificate_expires_at());
    const auto left = *c.client.certificate_expires_at() - SystemClock().wall();
    CHECK(left > std::chrono::hours(5 * 24 - 1));
    CHECK(left <= std::chrono::hours(5 * 24));

    const auto written = c.client.write("question", 8);
    CHECK(written.step == Step::kDone);
    CHECK(written.bytes == 8);
    CHECK(c.server.read() == "question");
    REQUIRE(c.server.write("answer"));
    Step last{};
    CHECK(read_all(c.client, last) == "answer");
    CHECK(last == Step::kWantRead);
    c.client.close_notify();
    CHECK(c.server.read() == "");
    CHECK((SSL_get_shutdown(c.server.ssl()) & SSL_RECEIVED_SHUTDOWN) != 0);
    c.server.end();
    CHECK(read_all(c.client, last) == "");
    CHECK(last == Step::kEnded);
  }
}

TEST_CASE("an end without close_notify is told from one with it") {
  const TestCertificate certificate;
  for (const int version : kVersions) {
    CAPTURE(version);
    const ServerSettings settings(certificate, {.version = version});
    Step last{};
    Connected between_records(settings, context_of(trusting(certificate)));
    REQUIRE(between_records.server.write("half of it"));
    between_records.sockets.hang_up();
    CHECK(read_all(between_records.client, last) == "half of it");
    CHECK(last == Step::kTruncated);

    Connected within_a_record(settings, context_of(trusting(certificate)));
    CHECK(read_all(within_a_record.client, last) == "");
    const std::string cut("\x17\x03\x03\x00\x40 half a record", 18);
    REQUIRE(send(within_a_record.sockets.server, cut.data(), cut.size(), 0) == 18);
    within_a_record.sockets.hang_up();
    CHECK(read_all(within_a_record.client, last) == "");
    CHECK(last == Step::kTruncated);
  }
}

TEST_CASE("a reset is told with its errno, and a forged record is a TLS failure") {
  const TestCertificate certificate;
  Step last{};
  Connected broken(ServerSettings(certificate), context_of(trusting(certificate)));
  CHECK(read_all(broken.client, last) == "");
  REQUIRE(broken.client.write("never read", 10).step == Step::kDone);
  broken.sockets.hang_up();
  CHECK(broken.client.read(nullptr, 0).step != Step::kDone);
  CHECK(broken.client.system_error() == ECONNRESET);
  CHECK(broken.client.write("more", 4).step == Step::kBroken);
  CHECK(broken.client.system_error() == EPIPE);

  Connected forged(ServerSettings(certificate), context_of(trusting(certificate)));
  const std::string record = forged_record();
  REQUIRE(send(forged.sockets.server, record.data(), record.size(), 0) == 37);
  CHECK(read_all(forged.client, last) == "");
  CHECK(last == Step::kFailed);
  CHECK(forged.client.error() == "TLS: decryption failed or bad record mac");
}

TEST_CASE("what had arrived before a write failed can still be read") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate), context_of(trusting(certificate)));
  REQUIRE(c.server.write("413, and goodbye"));
  c.sockets.hang_up();
  CHECK(c.client.write("a large request", 15).step == Step::kBroken);
  CHECK(c.client.system_error() == EPIPE);
  Step last{};
  CHECK(read_all(c.client, last) == "413, and goodbye");
  CHECK(last == Step::kTruncated);
}

TEST_CASE("a handshake and what follows arrive byte by byte") {
  const TestCertificate certificate;
  for (const int version : kVersions) {
    CAPTURE(version);
    const ByteLine line;
    ServerEnd server(ServerSettings(certificate, {.version = version}), line.server());
    TlsStream client(context_of(trusting(certificate)), "localhost", 443, line.client());
    REQUIRE(shake_hands(client, server, [&] { line.carry(); }) == Step::kDone);
    REQUIRE(server.write("answer"));
    std::string got;
    Step last{};
    for (int turn = 0; turn < test::kTurns && got.size() < 6; ++turn) {
      line.carry();
      got += read_all(client, last);
      CHECK(last == Step::kWantRead);
    }
    CHECK(got == "answer");
  }
}

TEST_CASE("what the socket does not take at once is written later, from wherever it is by then") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate), context_of(trusting(certificate)));
  std::string sent;
  while (sent.size() < 3'000'000) sent += "number " + std::to_string(sent.size()) + '\n';
  std::string got;
  std::size_t done = 0;
  int waits = 0;
  for (int turn = 0; turn < test::kTurns && got.size() < sent.size(); ++turn) {
    while (done < sent.size()) {
      const std::string elsewhere = sent.substr(done, 100'000);
      const auto moved = c.client.write(elsewhere.data(), elsewhere.size());
      if (moved.step == Step::kWantWrite) {
        ++waits;
        break;
      }
      REQUIRE(moved.step == Step::kDone);
      done += moved.bytes;
    }
    got += c.server.read();
  }
  CHECK(got == sent);
  CHECK(waits > 0);
}

TEST_CASE("a head and its body leave in one record if they fit, and are not mixed up if they do not") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate), context_of(trusting(certificate)));
  CHECK(c.client.write("head", "body").bytes == 8);
  std::array<char, 100> record;
  CHECK(SSL_read(c.server.ssl(), record.data(), 100) == 8);
  CHECK(std::string_view(record.data(), 8) == "headbody");
  for (const std::size_t head_size : {0u, 1u, 700u, 16'383u, 16'384u, 16'385u, 40'000u}) {
    CAPTURE(head_size);
    const std::string head(head_size, 'h');
    std::string body;
    while (body.size() < 600'000) body += std::to_string(body.size()) + ' ';
    std::string got;
    std::size_t done = 0;
    for (int turn = 0; turn < test::kTurns && got.size() < head.size() + body.size(); ++turn) {
      const auto rest_of = [&](const std::string& part, std::size_t begin) {
        return std::string_view(part).substr(std::min(part.size(), done > begin ? done - begin : 0));
      };
      if (done < head.size() + body.size()) {
        const auto moved = c.client.write(rest_of(head, 0), rest_of(body, head.size()));
        REQUIRE((moved.step == Step::kDone || moved.step == Step::kWantWrite));
        done += moved.bytes;
        if (moved.step == Step::kDone) continue;  // until the socket is full
      }
      got += c.server.read();
    }
    CHECK(got == head + body);
  }
}

TEST_CASE("an idle connection is kept over session tickets, and not over anything else") {
  const TestCertificate certificate;
  const ServerSettings settings(certificate, {.tickets = 0});
  const auto context = context_of(trusting(certificate));
  Connected c(settings, context);
  CHECK_FALSE(c.client.holds_bytes());
  CHECK(c.client.is_quiet());
  SSL_new_session_ticket(c.server.ssl());
  SSL_do_handshake(c.server.ssl());
  CHECK(c.client.is_quiet());
  CHECK(context->sessions->size() == 1);
  const std::uint64_t before = c.client.received();
  c.server.end();
  CHECK_FALSE(c.client.is_quiet());
  CHECK(c.client.received() > before);
  CHECK(c.client.received() - before <= TlsStream::kFarewellBytes);

  Connected talkative(settings, context), gone(settings, context), cut(settings, context);
  REQUIRE(talkative.server.write("HTTP/1.1 200 OK\r\n\r\n"));
  CHECK_FALSE(talkative.client.is_quiet());
  gone.sockets.hang_up();
  CHECK_FALSE(gone.client.is_quiet());
  REQUIRE(send(cut.sockets.server, "\x17\x03\x03", 3, 0) == 3);
  CHECK_FALSE(cut.client.is_quiet());
}

TEST_CASE("bytes behind a response that were read from the socket with it are seen") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate), context_of(trusting(certificate)));
  Step last{};
  CHECK(read_all(c.client, last) == "");
  REQUIRE(c.server.write("response"));
  REQUIRE(c.server.write("more"));
  std::array<char, 8> response;
  CHECK(c.client.read(response.data(), response.size()).bytes == 8);
  CHECK(c.client.holds_bytes());
  CHECK_FALSE(c.client.is_quiet());
}

TEST_CASE("records without data and without end do not keep the reader") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate), context_of(trusting(certificate)));
  Step last{};
  CHECK(read_all(c.client, last) == "");
  BIO* const gathered = BIO_new(BIO_s_mem());
  SSL_set0_wbio(c.server.ssl(), gathered);
  for (int i = 0; i < 1'000; ++i) {
    REQUIRE(SSL_key_update(c.server.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
    REQUIRE(SSL_do_handshake(c.server.ssl()) == 1);
  }
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(gathered, &bytes);
  REQUIRE(send(c.sockets.server, bytes, static_cast<std::size_t>(size), 0) == size);
  CHECK(read_all(c.client, last) == "");
  CHECK(last == Step::kFailed);
  CHECK(c.client.error() == "TLS: too many records without data");
}

TEST_CASE("TLS inside the TLS of a proxy") {
  const TestCertificate proxy({.host = "proxy.example"}), certificate;
  for (const int version : kVersions) {
    CAPTURE(version);
    const ServerSettings outer_settings(proxy, {.version = version});
    const ServerSettings inner_settings(certificate, {.version = version});
    const SocketPair sockets;
    ServerEnd outer(outer_settings, sockets.server), inner(inner_settings, outer);
    auto tunnel =
        std::make_unique<TlsStream>(context_of(trusting(proxy)), "proxy.example", 443, sockets.client);
    REQUIRE(shake_hands(*tunnel, outer) == Step::kDone);
    TlsStream client(context_of(trusting(certificate)), "localhost", 443, std::move(tunnel));
    REQUIRE(shake_hands(client, inner) == Step::kDone);
    CHECK(client.write("question", 8).bytes == 8);
    CHECK(inner.read() == "question");
    const std::string much(200'000, 'x');
    std::string got;
    Step last{};
    for (std::size_t done = 0; done < much.size(); done += 10'000) {
      REQUIRE(inner.write(std::string_view(much).substr(done, 10'000)));
      got += read_all(client, last);
      CHECK(last == Step::kWantRead);
    }
    CHECK(got == much);
    CHECK(client.is_quiet());
    client.close_notify();
    CHECK(inner.read() == "");
    CHECK(outer.read() == "");
    CHECK((SSL_get_shutdown(outer.ssl()) & SSL_RECEIVED_SHUTDOWN) != 0);
  }
}

TEST_CASE(
    "inside the TLS of a proxy the target's certificate counts, and the proxy's failures are told as such") {
  const TestCertificate proxy({.host = "proxy.example"}), other({.host = "other.example"});
  const ServerSettings outer_settings(proxy), inner_settings(other);
  SocketPair sockets;
  ServerEnd outer(outer_settings, sockets.server), inner(inner_settings, outer);
  const auto tunnel_to = [&](ServerEnd& end, int fd) {
    auto tunnel = std::make_unique<TlsStream>(context_of(trusting(proxy)), "proxy.example", 443, fd);
    REQUIRE(shake_hands(*tunnel, end) == Step::kDone);
    return tunnel;
  };
  TlsStream client(context_of(trusting(other)), "localhost", 443, tunnel_to(outer, sockets.client));
  CHECK(shake_hands(client, inner) == Step::kFailed);
  CHECK(client.error() == "certificate is not for this host");

  SocketPair forged_sockets;
  ServerEnd forger(outer_settings, forged_sockets.server);
  TlsStream forged(context_of(trusting(other)), "localhost", 443, tunnel_to(forger, forged_sockets.client));
  CHECK(forged.handshake() == Step::kWantRead);
  const std::string record = forged_record();
  REQUIRE(send(forged_sockets.server, record.data(), record.size(), 0) == 37);
  CHECK(forged.handshake() == Step::kFailed);
  CHECK(forged.error() == "proxy: TLS: decryption failed or bad record mac");

  SocketPair gone_sockets;
  ServerEnd leaver(outer_settings, gone_sockets.server);
  TlsStream left(context_of(trusting(other)), "localhost", 443, tunnel_to(leaver, gone_sockets.client));
  CHECK(left.handshake() == Step::kWantRead);
  leaver.read();
  leaver.end();
  CHECK(left.handshake() == Step::kFailed);
  CHECK(left.error() == "TLS handshake: the other side closed the connection");
}

}  // namespace
}  // namespace outboxd
