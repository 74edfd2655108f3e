// Every bad value of every option ends with the usage status, names the option, and asks the daemon nothing.
#include <doctest/doctest.h>

#include "ctl/fake_api.h"
#include "ctl/program.h"

using namespace outboxd::test;

namespace {

struct BadLine {
  Arguments arguments;
  std::string named;  // must be in the message
};

const std::string kBadSecret = "whsec_short";

std::vector<BadLine> bad_lines() {
  const std::string dlv = delivery_id_text(1);
  return {
      {{}, "subcommand"},
      {{"bogus"}, "bogus"},
      {{"--bogus"}, "--bogus"},
      {{"event"}, "subcommand"},
      {{"event", "bogus"}, "bogus"},
      {{"status", "--bogus"}, "--bogus"},
      {{"status", "extra"}, "extra"},
      {{"-o", "xml", "status"}, "--output"},
      {{"-o", "id", "status"}, "--output"},
      {{"--color", "maybe", "status"}, "--color"},
      {{"--socket", "", "status"}, "--socket"},
      {{"--socket", std::string(108, 's'), "status"}, "--socket"},
      {{"--socket", "/x", "--url", "http://127.0.0.1:1", "status"}, "--socket"},
      {{"--url", "ftp://127.0.0.1", "status"}, "--url"},
      {{"--url", "http://u:p@127.0.0.1", "status"}, "--url"},
      {{"--url", "http://127.0.0.1/?a=b", "status"}, "--url"},
      {{"--url", "http://exa mple/", "status"}, "--url"},
      {{"--url", "127.0.0.1:1\n", "status"}, "--url"},
      {{"--token-file", "/nonexistent", "status"}, "--token-file"},
      {{"--ca-file", "/nonexistent", "status"}, "--ca-file"},
      {{"event", "send"}, "TYPE"},
      {{"event", "send", "order paid", "--data", "1"}, "type"},
      {{"event", "send", "a..b", "--data", "1"}, "type"},
      {{"event", "send", "a\x1b[2J", "--data", "1"}, "\\x1b"},
      {{"event", "send", std::string(129, 'a'), "--data", "1"}, "type"},
      {{"event", "send", "a"}, "--data"},
      {{"event", "send", "a", "x", "--data", "1"}, "source"},
      {{"event", "send", "a", "-", "--data", "1"}, "--data"},
      {{"event", "send", "a", "--data", "1", "--data-file", "/dev/null"}, "--data-file"},
      {{"event", "send", "a", "--data", "{'no':1}"}, "--data"},
      {{"event", "send", "a", "--data", "\xff"}, "--data"},
      {{"event", "send", "a", "--data-file", "/nonexistent"}, "--data-file"},
      {{"event", "send", "a", "--data", "1", "--delay", "5 minutes"}, "--delay"},
      {{"event", "send", "a", "--data", "1", "--ttl", "-5s"}, "--ttl"},
      {{"event", "send", "a", "--data", "1", "--priority", "10"}, "--priority"},
      {{"event", "send", "a", "--data", "1", "--priority", "x"}, "--priority"},
      {{"event", "send", "a", "--data", "1", "--header", "nocolon"}, "--header"},
      {{"event", "send", "a", "--data", "1", "--header", "webhook-id:1"}, "--header"},
      {{"event", "send", "a", "--data", "1", "--header", "X-A:b\r\nX-B:c"}, "--header"},
      {{"event", "send", "a", "--data", "1", "--tenant", std::string(129, 't')}, "--tenant"},
      {{"event", "send", "a", "--data", "1", "--ordering-key", ""}, "--ordering-key"},
      {{"event", "send", "a", "--data", "1", "--idempotency-key", std::string(257, 'k')},
       "--idempotency-key"},
      {{"event", "send", "a", "--data", "1", "--content-type", ""}, "--content-type"},
      {{"event", "send", "--batch", "/nonexistent"}, "--batch"},
      {{"event", "send", "a", "--batch", "/dev/null"}, "--batch"},
      {{"event", "send", "--cloudevent", "/nonexistent"}, "--cloudevent"},
      {{"event", "send", "a", "--cloudevent", "/dev/null"}, "--cloudevent"},
      {{"event", "send", "--batch", "-", "--cloudevent", "-"}, "--cloudevent"},
      {{"event", "list", "--limit", "0"}, "--limit"},
      {{"event", "list", "--limit", "many"}, "--limit"},
      {{"event", "list", "--since", "yesterday"}, "--since"},
      {{"event", "list", "--until", "2026-13-01T00:00:00Z"}, "--until"},
      {{"event", "list", "--type", "a b"}, "--type"},
      {{"event", "list", "--cursor", ""}, "--cursor"},
      {{"event", "show"}, "id"},
      {{"event", "show", "evt_1"}, "id"},
      {{"event", "payload", kEndpoint}, "id"},
      {{"event", "replay", kEvent, "--endpoint", ""}, "--endpoint"},
      {{"endpoint", "add"}, "url"},
      {{"endpoint", "add", "http://127.1/"}, "url"},
      {{"endpoint", "add", "https://good\\@127.0.0.1/"}, "url"},
      {{"endpoint", "add", "https://e.example/", "--types", "order.*.x"}, "--types"},
      {{"endpoint", "add", "https://e.example/", "--types", ""}, "--types"},
      {{"endpoint", "add", "https://e.example/", "--format", "xml"}, "--format"},
      {{"endpoint", "add", "https://e.example/", "--timeout", "20"}, "--timeout"},
      {{"endpoint", "add", "https://e.example/", "--retry-schedule", "0s,,5m"}, "--retry-schedule"},
      {{"endpoint", "add", "https://e.example/", "--max-in-flight", "0"}, "--max-in-flight"},
      {{"endpoint", "add", "https://e.example/", "--rate-limit", "100"}, "--rate-limit"},
      {{"endpoint", "add", "https://e.example/", "--rate-limit", "2000000/s"}, "--rate-limit"},
      {{"endpoint", "add", "https://e.example/", "--ordering", "tenant"}, "--ordering"},
      {{"endpoint", "add", "https://e.example/", "--on-failure-in-order", "stop"}, "--on-failure-in-order"},
      {{"endpoint", "add", "https://e.example/", "--header", "host:x"}, "--header"},
      {{"endpoint", "add", "https://e.example/", "--metadata", "[1]"}, "--metadata"},
      {{"endpoint", "add", "https://e.example/", "--secret-file", "/nonexistent"}, "--secret-file"},
      {{"endpoint", "add", "https://e.example/", "--name", std::string(256, 'n')}, "--name"},
      {{"endpoint", "set", kEndpoint}, "nothing to set"},
      {{"endpoint", "set", "", "--name", "n"}, "endpoint"},
      {{"endpoint", "set", kEndpoint, "--url", "ftp://x/"}, "--url"},
      {{"endpoint", "remove", kEvent}, "endpoint"},
      {{"endpoint", "secret"}, "subcommand"},
      {{"endpoint", "secret", "rotate", kEndpoint, "--overlap", "x"}, "--overlap"},
      {{"delivery", "list", "--state", "lost"}, "--state"},
      {{"delivery", "list", "--endpoint", "a\nb"}, "--endpoint"},
      {{"delivery", "list", "--event", "x"}, "--event"},
      {{"delivery", "list", "--error", "bad"}, "--error"},
      {{"delivery", "show", "dlv_"}, "id"},
      {{"delivery", "retry"}, "--endpoint"},
      {{"delivery", "retry", "x"}, "id"},
      {{"delivery", "retry", dlv, "--type", "a"}, "not both"},
      {{"delivery", "retry", "--type", "a"}, "--yes"},
      {{"delivery", "discard", "--since", "1h"}, "--yes"},
      {{"retry"}, "id"},
      {{"retry", "x"}, "id"},
      {{"failures", "--by", "moon"}, "--by"},
      {{"failures", "--since", "x"}, "--since"},
      {{"tail", "--endpoint", kEvent}, "--endpoint"},
      {{"-o", "json", "tail"}, "--output"},
      {{"-o", "json", "listen"}, "--output"},
      {{"-o", "json", "status", "--watch"}, "--output"},
      {{"-o", "json", "dev"}, "--output"},
      {{"dev", "--outboxd", "/nonexistent"}, "--outboxd"},
      {{"dev", "--types", "a b"}, "--types"},
      {{"listen", "--types", "a b"}, "--types"},
      {{"listen", "--tenant", "acme"}, "--types"},
      {{"trigger"}, "type"},
      {{"trigger", "a b"}, "type"},
      {{"trigger", "a", "--data", "{"}, "--data"},
      {{"trigger", "a", "--data", "@/nonexistent"}, "--data"},
      {{"endpoint", "test", kEndpoint, "--data", "{"}, "--data"},
      {{"endpoint", "test", kEndpoint, "--type", "a b"}, "--type"},
      {{"endpoint", "apply", "/nonexistent"}, "/nonexistent"},
      {{"event", "erase", kEvent}, "--yes"},
      {{"outbox", "show", "x"}, "row"},
      {{"outbox", "retry", "0"}, "row"},
      {{"outbox", "drop", "7"}, "--yes"},
      {{"token", "create", "n", "--scope", "root"}, "--scope"},
      {{"token", "create", "n", "--tenant", "a/b", "--file", "/dev/null"}, "--tenant"},
      {{"listen", "--port", "65536"}, "--port"},
      {{"dashboard", "--port", "65536"}, "--port"},
      {{"listen", "--port", "-1"}, "--port"},
      {{"listen", "--verify", kBadSecret}, "--verify"},
      {{"listen", "--verify", "@/nonexistent"}, "--verify"},
      {{"listen", "--fail", "503:200%"}, "--fail"},
      {{"listen", "--fail-type", "a b:500"}, "--fail-type"},
      {{"listen", "--delay", "2"}, "--delay"},
      {{"listen", "--forward-to", "gopher://x"}, "--forward-to"},
      {{"signature", "sign", "--id", "x"}, "--secret-file"},
      {{"signature", "sign", "--secret-file", "/dev/null", "--id", "x"}, "--secret-file"},
      {{"signature", "sign", "--secret-file", "/nonexistent", "--id", "x"}, "--secret-file"},
      {{"signature", "sign", "--secret-file", "/dev/null", "--id", ""}, "--id"},
      {{"signature", "sign", "--secret-file", "/dev/null", "--id", "x", "--timestamp", "-1"}, "--timestamp"},
      {{"signature", "verify", "--secret-file", "/dev/null", "--id", "x", "--timestamp", "1"}, "--signature"},
      {{"signature", "verify", "--secret-file", "/dev/null", "--id", "x", "--timestamp", "1", "--signature",
        "v1,", "--tolerance", "x"},
       "--tolerance"},
      {{"completion"}, "completion"},
      {{"help", "nonsense"}, "nonsense"},
      {{"help", "event", "nonsense"}, "nonsense"},
      {{"event", "show", "evt_" + std::string(32, 'g')}, "id"},
      {{"event", "show", "evt_" + std::string(32, 'A')}, "id"},
  };
}

std::string joined(const Arguments& arguments) {
  std::string text;
  for (const std::string& argument : arguments) text += argument.substr(0, 60) + " ";
  return text;
}

}  // namespace

TEST_CASE(
    "every bad option ends with status 2 and a message that names it, and nothing is asked of the daemon") {
  FakeApi api;
  for (const BadLine& line : bad_lines()) {
    CAPTURE(joined(line.arguments));
    const Ended outcome = outboxctl(line.arguments, "", {"OUTBOXD_URL=" + api.url()});
    CHECK(outcome.exit_code == 2);
    CHECK_MESSAGE(outcome.err.find(line.named) != std::string::npos, outcome.err);
    CHECK(outcome.err.find('\x1b') == std::string::npos);
    CHECK(outcome.out.empty());
  }
  CHECK(api.asked().empty());
}

TEST_CASE("a bad secret is never repeated in the message") {
  const Ended outcome = outboxctl({"listen", "--verify", kBadSecret});
  CHECK(outcome.err.find(kBadSecret) == std::string::npos);
}

TEST_CASE("--help says what there is, for the whole and for each command, on stdout with status 0") {
  const Ended all = outboxctl({"--help"});
  CHECK(all.exit_code == 0);
  CHECK(all.err.empty());
  for (const char* word : {"Look:", "Act:", "Run the daemon:", "Develop a subscriber:", "failures",
                           "endpoint", "--token-file"}) {
    CAPTURE(word);
    CHECK(all.out.find(word) != std::string::npos);
  }
  const Ended send = outboxctl({"event", "send", "--help"});
  CHECK(send.exit_code == 0);
  CHECK(send.out.find("outboxctl event send") != std::string::npos);
  CHECK(send.out.find("--idempotency-key") != std::string::npos);
  CHECK(send.out.find("Example:") != std::string::npos);
}

TEST_CASE("help with a command's name says what its --help says, and alone what --help says") {
  CHECK(outboxctl({"help"}).out == outboxctl({"--help"}).out);
  const Ended send = outboxctl({"help", "event", "send"});
  CHECK(send.exit_code == 0);
  CHECK(send.err.empty());
  CHECK(send.out == outboxctl({"event", "send", "--help"}).out);
  CHECK(outboxctl({"help", "endpoint"}).out == outboxctl({"endpoint", "--help"}).out);
}

TEST_CASE("--version is one line on stdout, with or without a command") {
  const Ended outcome = outboxctl({"--version"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.starts_with("outboxctl "));
  CHECK(outcome.out.find('\n') == outcome.out.size() - 1);
  CHECK(outboxctl({"status", "--version"}).out == outcome.out);
}

TEST_CASE("the version needs no daemon") {
  const Ended outcome = outboxctl({"version", "-o", "id"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find('.') != std::string::npos);
}
