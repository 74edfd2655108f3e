// Every row of tests/security/corpus: what the strict parse and the default policy say, also when letters are
// written in the other case, and what the sender does with names whose answers are denied.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "common/json.h"
#include "outbound/sender_rig.h"
#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::request_to;
using test::SenderRig;
using test::TestDns;

struct Row {
  std::string kind, input, verdict, source;
};

std::vector<Row> corpus(const std::string& name) {
  std::ifstream file(std::string(OUTBOXD_POLICY_CORPUS "/") + name);
  REQUIRE_MESSAGE(file.is_open(), name);
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream columns(line);
    Row row;
    for (std::string* column : {&row.kind, &row.input, &row.verdict, &row.source})
      std::getline(columns, *column, '\t');
    REQUIRE_MESSAGE(!row.source.empty(), line);
    row.input = Json::parse('"' + row.input + '"').get<std::string>();
    rows.push_back(std::move(row));
  }
  return rows;
}

template <int (*Change)(int)>
std::string letters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c < 0x80 ? Change(c) : c); });
  return text;
}

// No verdict hangs on a letter's case: schemes, names, hex digits and percent-encodings have none.
std::vector<std::string> spellings(const std::string& text) {
  return {text, letters<std::toupper>(text), letters<std::tolower>(text)};
}

std::string verdict_of_url(const std::string& text) {
  const auto url = parse_endpoint_url(text);
  if (!url) return "malformed";
  return AddressPolicy({}).why_denied(*url) ? "denied" : "allowed";
}

std::string verdict_of_address(const std::string& text) {
  const auto address = IpAddress::parse(text);
  if (!address) return "malformed";
  return AddressPolicy({}).why_denied("hooks.example", 443, *address) ? "denied" : "allowed";
}

std::string url_of_address(const std::string& address) {
  return address.find(':') == std::string::npos ? "https://" + address + "/" : "https://[" + address + "]/";
}

// "name > alias > 192.0.2.1 2001:db8::1", or a word instead of addresses.
struct Answer {
  std::string name;
  std::vector<std::string> addresses;
};

Answer answer_of(const std::string& input) {
  Answer answer;
  answer.name = input.substr(0, input.find(' '));
  std::istringstream words(input.substr(input.rfind("> ") + 2));
  for (std::string word; words >> word;) {
    if (IpAddress::parse(word)) answer.addresses.push_back(word);
  }
  return answer;
}

TEST_CASE("corpus: every URL gets its verdict in any case of letters") {
  for (const Row& row : corpus("urls.tsv")) {
    for (const std::string& url : spellings(row.input)) {
      CAPTURE(row.kind);
      CAPTURE(url);
      CHECK(verdict_of_url(url) == row.verdict);
    }
  }
}

TEST_CASE("corpus: the normal form of a URL gets the verdict of the URL") {
  for (const Row& row : corpus("urls.tsv")) {
    const auto url = parse_endpoint_url(row.input);
    if (!url) continue;
    CAPTURE(row.input);
    CHECK(verdict_of_url(url->text) == row.verdict);
  }
}

TEST_CASE("corpus: every address gets its verdict, as an answer of DNS and as a URL's host") {
  for (const Row& row : corpus("addresses.tsv")) {
    for (const std::string& address : spellings(row.input)) {
      CAPTURE(row.kind);
      CAPTURE(address);
      // A NUL ends what inet_pton reads; no answer of DNS is text, so only the URL's verdict counts there.
      if (address.find('\0') == std::string::npos) CHECK(verdict_of_address(address) == row.verdict);
      CHECK(verdict_of_url(url_of_address(address)) == row.verdict);
    }
  }
}

TEST_CASE("corpus: an address is judged as any other host's is, whatever the name") {
  const AddressPolicy policy({});
  for (const Row& row : corpus("addresses.tsv")) {
    const auto address = IpAddress::parse(row.input);
    if (!address || row.verdict == "malformed") continue;
    for (const char* host : {"", "localhost", "8.8.8.8", "allowed.example"}) {
      CAPTURE(row.input);
      CAPTURE(host);
      CHECK(policy.why_denied(host, 443, *address).has_value() == (row.verdict == "denied"));
    }
  }
}

TEST_CASE("corpus: one denied address among DNS's answers denies the name") {
  for (const Row& row : corpus("dns.tsv")) {
    CAPTURE(row.input);
    const Answer answer = answer_of(row.input);
    const bool denied = std::any_of(answer.addresses.begin(), answer.addresses.end(),
                                    [](const auto& a) { return verdict_of_address(a) == "denied"; });
    CHECK((answer.addresses.empty() ? "unresolvable" : denied ? "denied" : "allowed") == row.verdict);
    CHECK(verdict_of_url("https://" + answer.name + "/") == "allowed");  // its name alone says nothing
  }
}

TEST_CASE("corpus: the sender blocks every name that has a denied answer, and connects to none") {
  TestDns dns;
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  SenderRig rig(options, AddressPolicy::Options{});
  std::vector<std::pair<Row, std::future<SendResult>>> sent;
  for (Row& row : corpus("dns.tsv")) {
    if (row.verdict == "allowed") continue;  // that would leave this machine
    const Answer answer = answer_of(row.input);
    if (!answer.addresses.empty()) dns.set(answer.name, answer.addresses);
    sent.emplace_back(std::move(row), rig.start(request_to("https://" + answer.name + "/")));
  }
  for (auto& [row, result] : sent) {
    const std::string& shown = row.input;  // Clang 14 captures no structured bindings
    CAPTURE(shown);
    const SendResult got = SenderRig::get(std::move(result));
    CHECK(got.outcome == (row.verdict == "denied" ? Outcome::kBlocked : Outcome::kDns));
    CHECK_FALSE(got.timings.connect);
  }
}

TEST_CASE("corpus: it is as large as it has to be, and no input stands in it twice") {
  std::size_t refused = 0, allowed = 0;
  for (const char* name : {"urls.tsv", "addresses.tsv", "dns.tsv"}) {
    std::vector<std::string> inputs;
    for (const Row& row : corpus(name)) {
      inputs.push_back(row.input);
      refused += row.verdict == "denied" || row.verdict == "malformed" ? 1 : 0;
      allowed += row.verdict == "allowed" ? 1 : 0;
    }
    std::sort(inputs.begin(), inputs.end());
    CAPTURE(name);
    CHECK(std::adjacent_find(inputs.begin(), inputs.end()) == inputs.end());
  }
  CHECK(refused >= 250);
  CHECK(allowed >= 30);
}

}  // namespace
}  // namespace outboxd
