#include "config/config.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/keys.h"
#include "support.h"

using namespace outboxd;
using namespace outboxd::config;
using namespace std::chrono_literals;

namespace {

using Errors = std::vector<std::string>;

std::string origin_of(const Loaded& loaded, const std::string& id) {
  for (const auto& row : settings(loaded)) {
    if (row.section + "." + row.key == id) return row.origin;
  }
  return "no such key";
}

bool is_list(Kind kind) {
  return kind == Kind::kDurations || kind == Kind::kNetworks || kind == Kind::kPorts ||
         kind == Kind::kTypePatterns || kind == Kind::kHosts;
}

// TOML values that are wrong for a key of this kind: of another type, out of range, or of the wrong form.
std::vector<std::string> wrong_values(const Key& key) {
  std::vector<std::string> wrong = {"1.5", "2026-01-01", "{a = 1}"};
  if (is_list(key.kind)) {
    wrong.insert(wrong.end(), {"\"text\"", "1", "true", "[true]", "[[]]", "[\"no good\"]", "[\"\"]"});
  } else {
    wrong.insert(wrong.end(), {"[]", "[1]"});
    if (key.kind != Kind::kBoolean) wrong.emplace_back("true");
    if (key.kind != Kind::kText) wrong.emplace_back("\"no good\"");
    if (key.kind != Kind::kInteger && key.kind != Kind::kSize) wrong.emplace_back("1");
  }
  const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
  switch (key.kind) {
    case Kind::kText:
    case Kind::kPath:
      wrong.push_back(quoted("/" + std::string(key.max, 'x')));
      wrong.push_back(quoted("tab\\t"));
      break;
    case Kind::kSecretFile:
      wrong.insert(wrong.end(), {"\"relative\"", "\"credential:\"", "\"credential:a/b\"", "\"/with space\""});
      break;
    case Kind::kInteger:
    case Kind::kSize:
      wrong.push_back(std::to_string(key.min - 1));
      wrong.push_back(std::to_string(key.max + 1));
      wrong.emplace_back("-1");
      break;
    case Kind::kDuration:
    case Kind::kDurationOrNone:
      wrong.insert(wrong.end(), {"\"-1s\"", "\"1\"", "\"3651d\""});
      wrong.push_back(quoted(format_duration(Millis(key.max + 1))));
      if (key.min > 0) wrong.push_back(quoted(format_duration(Millis(key.min - 1))));
      break;
    case Kind::kDurations:
      wrong.insert(wrong.end(), {"[]", "[5]", "[\"31d\"]", "[\"-1s\"]"});
      break;
    case Kind::kPorts:
      wrong.insert(wrong.end(), {"[0]", "[65536]", "[-1]", "[\"80\"]"});
      break;
    case Kind::kNetworks:
      wrong.insert(wrong.end(), {"[\"10.0.0.1/8\"]", "[\"10.0.0.0/33\"]", "[\"localhost\"]"});
      break;
    case Kind::kTypePatterns:
      wrong.insert(wrong.end(), {"[\"order.*.paid\"]", "[\"order..paid\"]", "[\"order.paid\", \"*.\"]"});
      break;
    case Kind::kHosts:
      wrong.insert(wrong.end(), {"[\"UPPER\"]", "[\"a.*\"]", "[\"a/b\"]"});
      break;
    case Kind::kStoreUrl:
      wrong.insert(wrong.end(),
                   {"\"\"", "\"sqlite://relative\"", "\"mysql://x/y\"", "\"sqlite:///folder/\"",
                    "\"postgresql://u:secret@h/d\"", "\"postgresql://h/d e\"", "\"postgresql:/h\""});
      break;
    case Kind::kAddress:
      wrong.insert(wrong.end(), {"\"localhost:80\"", "\"127.0.0.1\"", "\"127.0.0.1:65536\""});
      break;
    case Kind::kProxy:
      wrong.insert(wrong.end(), {"\"proxy:80\"", "\"socks5://p:1\""});
      break;
    case Kind::kCheckpoint:
      wrong.insert(wrong.end(), {"\"\"", "\"Auto\"", "\"litestream\""});
      break;
    case Kind::kAutoDuration:
      wrong.insert(wrong.end(), {"\"\"", "\"Auto\"", "\"0.5ms\"", "\"0s\"", "\"-1ms\""});
      wrong.push_back(quoted(format_duration(Millis(key.max + 1))));
      break;
    case Kind::kLogLevel:
    case Kind::kLogFormat:
      wrong.insert(wrong.end(), {"\"\"", "\"INFO\"", "\"syslog\""});
      break;
    case Kind::kBoolean:
      wrong.insert(wrong.end(), {"\"true\"", "0"});
      break;
  }
  return wrong;
}

}  // namespace

TEST_CASE("without any source the defaults of the contract hold") {
  TemporaryFolder folder;
  const auto loaded = folder.load();
  REQUIRE(loaded);
  const auto& c = loaded->config;
  CHECK(c.store.url == "sqlite:///var/lib/outboxd/outbox.db");
  CHECK(c.store.path() == "/var/lib/outboxd/outbox.db");
  CHECK(c.listen.tcp == "127.0.0.1:8877");
  CHECK(c.delivery.timeout == 20s);
  CHECK(c.delivery.connect_timeout == 5s);
  CHECK(c.delivery.retry_schedule == std::vector<Millis>{0s, 5s, 5min, 30min, 2h, 5h, 10h, 14h, 20h, 24h});
  CHECK(c.delivery.max_in_flight == 20'000);
  CHECK(c.delivery.max_in_flight_per_endpoint == 32);
  CHECK(c.delivery.threads == 1);
  CHECK_FALSE(c.policy.allow_http);
  CHECK(c.policy.ports == std::vector<std::uint16_t>{80, 443});
  CHECK(c.limits.event_bytes == 1 << 20);
  CHECK(c.limits.request_bytes == 16 << 20);
  CHECK(c.retention.delivered == 168h);
  CHECK(c.retention.dead == 720h);
  CHECK(c.retention.free_disk == 256 << 20);
  CHECK(origin_of(*loaded, "delivery.timeout") == "default");
}

TEST_CASE("a commit's delay is auto, none, or a duration") {
  TemporaryFolder folder;
  const auto delay = [&](const std::string& value) {
    folder.write("outboxd.toml", "[store]\ncommit_delay = \"" + value + "\"\n");
    const auto loaded = folder.load();
    REQUIRE(loaded);
    return loaded->config.store.longest_commit_delay();
  };
  CHECK_FALSE(Config().store.longest_commit_delay());
  CHECK_FALSE(delay("auto"));
  CHECK(delay("0") == 0ms);
  CHECK(delay("1ms") == 1ms);
  CHECK(delay("100ms") == 100ms);
}

TEST_CASE("later sources win, and each value says where it came from") {
  TemporaryFolder folder;
  folder.write(
      "outboxd.toml",
      "[limits]\nqueue = 2\n[delivery]\ntimeout = \"1s\"\nconnect_timeout = \"1s\"\nmax_in_flight = 100\n"
      "max_in_flight_per_endpoint = 4\n");
  folder.write("conf.d/20-b.toml", "[delivery]\nconnect_timeout = \"200ms\"\n[limits]\nqueue = 4\n");
  folder.write("conf.d/10-a.toml",
               "[delivery]\nconnect_timeout = \"100ms\"\nmax_in_flight = 200\n[limits]\nqueue = 3\n");
  folder.write("conf.d/30-ignored.toml.bak", "broken");
  folder.sources.environment = {{"OUTBOXD_LIMITS__QUEUE", "5"}, {"OUTBOXD_POLICY__PORTS", "80, 8080"}};
  folder.sources.overrides = {{"limits.queue", "6"}, {"policy.allow_networks", "10.0.0.0/8,fd00::/8"}};
  const auto loaded = folder.load();
  REQUIRE(loaded);
  CHECK(loaded->config.delivery.timeout == 1s);
  CHECK(loaded->config.delivery.connect_timeout == 200ms);
  CHECK(loaded->config.delivery.max_in_flight == 200);
  CHECK(loaded->config.limits.queue == 6);
  CHECK(loaded->config.policy.ports == std::vector<std::uint16_t>{80, 8080});
  CHECK(loaded->config.policy.allow_networks == std::vector<std::string>{"10.0.0.0/8", "fd00::/8"});
  CHECK(origin_of(*loaded, "delivery.timeout") == folder.file("outboxd.toml:4"));
  CHECK(origin_of(*loaded, "delivery.connect_timeout") == folder.file("conf.d/20-b.toml:2"));
  CHECK(origin_of(*loaded, "delivery.max_in_flight") == folder.file("conf.d/10-a.toml:3"));
  CHECK(origin_of(*loaded, "limits.queue") == "--set limits.queue");
  CHECK(origin_of(*loaded, "policy.ports") == "environment OUTBOXD_POLICY__PORTS");
}

TEST_CASE("every key refuses every wrong value, at its position, and names itself and what is expected") {
  TemporaryFolder folder;
  for (const auto& key : keys()) {
    for (const auto& value : wrong_values(key)) {
      INFO(key.id() << " = " << value);
      folder.write("outboxd.toml",
                   "\n[" + std::string(key.section) + "]\n" + std::string(key.name) + " = " + value + "\n");
      const auto errors = folder.errors();
      REQUIRE(errors.size() == 1);
      INFO(errors[0]);
      CHECK(errors[0].starts_with("outboxd.toml:3:"));
      CHECK(errors[0].find(": " + key.id() + ": ") != std::string::npos);
      CHECK(errors[0].find("; expected ") != std::string::npos);
    }
  }
}

TEST_CASE("every key takes its own default from the environment and from a flag") {
  for (const auto& key : keys()) {
    auto text = value_text(key, Config{});
    std::erase_if(text, [](char c) { return c == '"' || c == '[' || c == ']'; });
    INFO(key.id() << " = " << text);
    TemporaryFolder folder;
    std::string variable = "OUTBOXD_" + std::string(key.section) + "__" + std::string(key.name);
    std::transform(variable.begin(), variable.end(), variable.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    folder.sources.environment = {{variable, text}};
    auto loaded = folder.load();
    REQUIRE(loaded);
    CHECK(value_text(key, loaded->config) == value_text(key, Config{}));
    CHECK(origin_of(*loaded, key.id()) == "environment " + variable);
    folder.sources.overrides = {{key.id(), text}};
    loaded = folder.load();
    REQUIRE(loaded);
    CHECK(origin_of(*loaded, key.id()) == "--set " + key.id());
  }
}

TEST_CASE("wrong text in the environment or a flag is refused by every key that is not free text") {
  for (const auto& key : keys()) {
    TemporaryFolder folder;
    folder.sources.overrides = {{key.id(), "no good\x01"}};
    INFO(key.id());
    const auto errors = folder.errors();
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("--set " + key.id() + ": " + key.id() + ": "));
    CHECK(errors[0].find('\x01') == std::string::npos);
  }
}

TEST_CASE("all errors are listed, with file, line and column, in the order of the sources") {
  TemporaryFolder folder;
  folder.write("outboxd.toml",
               "speed = 9\n"
               "[delivery]\n"
               "threads = 0\n"
               "retry_schedule = [\"0s\", \"soon\",\n"
               "                  \"99d\"]\n"
               "time_out = \"5s\"\n"
               "[polcy]\n"
               "allow_http = true\n");
  folder.write("conf.d/a.toml", "[log]\nlevel = \"loud\"\n");
  folder.write("conf.d/b.toml", "[log\n");
  folder.sources.environment = {{"OUTBOXD_LOG__FORMAT", "xml"}, {"OUTBOXD_LOGS__FORMAT", "json"}};
  folder.sources.overrides = {{"policy.prots", "80"}, {"nonsense", "1"}};
  const auto errors = folder.errors();
  REQUIRE(errors.size() == 12);
  const auto has = [&](const std::string& expected) {
    INFO(expected);
    const bool found = std::find(errors.begin(), errors.end(), expected) != errors.end();
    if (!found) {
      for (const auto& error : errors) MESSAGE(error);
    }
    CHECK(found);
  };
  has("outboxd.toml:1:1: speed: no such section");
  has("outboxd.toml:3:11: delivery.threads: is 0; expected a number from 1 to 64");
  has("outboxd.toml:4:25: delivery.retry_schedule: is \"soon\"; expected 1 to 64 durations from 0s to 30d, "
      "such as "
      "[\"0s\", \"5s\", \"5m\"]");
  has("outboxd.toml:5:19: delivery.retry_schedule: is \"99d\"; expected 1 to 64 durations from 0s to 30d, "
      "such as "
      "[\"0s\", \"5s\", \"5m\"]");
  has("outboxd.toml:6:1: delivery.time_out: no such key, did you mean timeout?");
  has("outboxd.toml:7:2: polcy: no such section, did you mean [policy]?");
  has("conf.d/a.toml:2:9: log.level: is \"loud\"; expected debug, info, warn or error");
  has("environment OUTBOXD_LOG__FORMAT: log.format: is \"xml\"; expected auto, json, logfmt or journald");
  has("environment OUTBOXD_LOGS__FORMAT: logs.format: no such section, did you mean [log]?");
  has("--set policy.prots: policy.prots: no such key, did you mean ports?");
  has("--set nonsense: is not the name of a key; expected section.key");
  CHECK(errors[7].starts_with("conf.d/b.toml:1:"));
  CHECK(errors[7].find("not valid TOML") != std::string::npos);
}

TEST_CASE("a key in the wrong section is sent to the right one") {
  TemporaryFolder folder;
  folder.write("outboxd.toml", "[delivery]\nallow_http = true\n");
  CHECK(folder.errors() ==
        Errors{"outboxd.toml:2:1: delivery.allow_http: no such key, did you mean policy.allow_http?"});
  folder.write("outboxd.toml", "allow_http = true\n");
  CHECK(folder.errors() ==
        Errors{"outboxd.toml:1:1: allow_http: no such section, did you mean policy.allow_http?"});
  folder.write("outboxd.toml", "log = \"debug\"\n");
  CHECK(folder.errors() ==
        Errors{"outboxd.toml:1:1: log: is not a section; expected [log] on a line of its own"});
}

TEST_CASE("a missing file is fine where it is the default, and an error where somebody named it") {
  TemporaryFolder folder;
  CHECK(folder.load());
  folder.sources.file_required = true;
  CHECK(folder.errors() == Errors{"outboxd.toml: cannot be read: No such file or directory"});
  std::filesystem::create_directory(folder.file("outboxd.toml"));
  folder.sources.file_required = false;
  CHECK(folder.errors() == Errors{"outboxd.toml: cannot be read: not a regular file"});
}

TEST_CASE("a file that is too large or not UTF-8 is refused") {
  TemporaryFolder folder;
  folder.write("outboxd.toml", std::string((1 << 20) + 1, '#'));
  CHECK(folder.errors() == Errors{"outboxd.toml: cannot be read: larger than 1 MiB"});
  folder.write("outboxd.toml", "[log]\nlevel = \"\xff\"\n");
  const auto errors = folder.errors();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].starts_with("outboxd.toml:2:"));
}

TEST_CASE("values that contradict each other are refused at the one that was set") {
  TemporaryFolder folder;
  folder.write("outboxd.toml",
               "[delivery]\ntimeout = \"2s\"\nmax_in_flight = 3\n[limits]\nevent_bytes = \"32MiB\"\n");
  CHECK(folder.errors() == Errors{"outboxd.toml:2:11: delivery.connect_timeout: is 5s; expected at most "
                                  "delivery.timeout, which is 2s",
                                  "outboxd.toml:3:17: delivery.max_in_flight_per_endpoint: is 32; expected "
                                  "at most delivery.max_in_flight, "
                                  "which is 3",
                                  "outboxd.toml:5:15: limits.event_bytes: is 32MiB; expected at most "
                                  "limits.request_bytes, which is 16MiB"});
}

TEST_CASE("an address that is not loopback needs tokens") {
  TemporaryFolder folder;
  folder.write("outboxd.toml", "[listen]\ntcp = \"0.0.0.0:8877\"\n");
  CHECK(folder.errors() ==
        Errors{"outboxd.toml:2:7: listen.tcp: is not a loopback address; expected one, or listen.tokens_file "
               "with the tokens of those who may call"});
  folder.write("outboxd.toml", "[listen]\ntcp = \"0.0.0.0:8877\"\ntokens_file = \"/etc/outboxd/tokens\"\n");
  CHECK(folder.load());
}

TEST_CASE("a password in a proxy URL is refused without repeating it") {
  TemporaryFolder folder;
  folder.sources.overrides = {{"delivery.proxy", "http://user:hunter2@proxy:3128"}};
  const auto errors = folder.errors();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].find("hunter2") == std::string::npos);
  CHECK(errors[0].find("without user name or password") != std::string::npos);
}

TEST_CASE("hostile names and values cannot bring control bytes or endless text into a message") {
  TemporaryFolder folder;
  folder.write("outboxd.toml",
               "[log]\n\"a\\u001b[2J\" = 1\nlevel = \"" + std::string(5000, 'x') + "\\u001b\"\n");
  for (const auto& error : folder.errors()) {
    CHECK(error.size() < 300);
    CHECK(error.find('\x1b') == std::string::npos);
  }
  CHECK(folder.errors().size() == 2);
}

TEST_CASE("of the process's environment only OUTBOXD_<SECTION>__<KEY> is taken") {
  setenv("OUTBOXD_LOG__LEVEL", "debug", 1);
  setenv("OUTBOXD_SOCKET", "/run/x", 1);
  setenv("XOUTBOXD_LOG__LEVEL", "x", 1);
  const auto variables = environment_of_process();
  unsetenv("OUTBOXD_LOG__LEVEL");
  unsetenv("OUTBOXD_SOCKET");
  unsetenv("XOUTBOXD_LOG__LEVEL");
  CHECK(variables == std::vector<std::pair<std::string, std::string>>{{"OUTBOXD_LOG__LEVEL", "debug"}});
}

TEST_CASE("sources are tables of their own, from every file, and shown with where they come from") {
  TemporaryFolder folder;
  folder.write("outboxd.toml",
               "[[source]]\nname = \"shop\"\nurl = \"sqlite:///srv/shop.db\"\n"
               "[[source]]\nname = \"crm\"\nurl = \"sqlite:///srv/./crm/../crm.db\"\n");
  folder.write("conf.d/a.toml", "[[source]]\nname = \"wiki\"\nurl = \"sqlite:///srv/wiki.db\"\n");
  folder.write("conf.d/0.toml", "[[source]]\nname = \"erp\"\nurl = \"postgresql://db.corp/erp\"\n");
  const auto loaded = folder.load();
  REQUIRE(loaded);
  const auto& sources = loaded->config.sources;
  REQUIRE(sources.size() == 4);
  CHECK(sources[0].path() == "/srv/shop.db");
  CHECK(sources[1].path() == "/srv/crm.db");
  CHECK(sources[1].is_sqlite());
  CHECK_FALSE(sources[2].is_sqlite());
  CHECK(sources[2].database() == "postgresql://db.corp/erp");
  CHECK(sources[3].name == "wiki");
  const auto shown = settings(*loaded);
  CHECK(shown[shown.size() - 6].id() == "source[2].name");
  CHECK(shown[shown.size() - 6].origin.ends_with("outboxd.toml:4"));
  CHECK(shown.back().origin.ends_with("a.toml:1"));
  const std::string text = as_toml(shown, false);
  CHECK(text.ends_with("\n[[source]]\nname = \"wiki\"\nurl = \"sqlite:///srv/wiki.db\"\n"));
  TemporaryFolder again;
  again.write("outboxd.toml", text);
  CHECK(as_toml(settings(*again.load()), false) == text);
}

TEST_CASE("a source that is wrong is refused at its position") {
  const auto errors = [](const std::string& text) {
    TemporaryFolder folder;
    folder.write("outboxd.toml", text);
    return folder.errors();
  };
  const std::string a = "[[source]]\nname = \"a\"\nurl = \"sqlite:///a.db\"\n";
  CHECK(
      errors("[source]\nname = \"a\"\n") ==
      Errors{"outboxd.toml:1:1: source: is not a list of tables; expected [[source]] on a line of its own"});
  CHECK(errors("[[source]]\nnam = \"a\"\nurl = 1\n") ==
        Errors{"outboxd.toml:1:1: source.name: is missing; expected 1 to 64 of a-z 0-9 _ -, each name once",
               "outboxd.toml:2:1: source.\"nam\": no such key; did you mean \"name\"?",
               "outboxd.toml:3:7: source.url: is no text; expected a URL such as "
               "\"sqlite:///srv/shop/app.db\" or \"postgresql://outboxd@db.corp/shop\", each database once"});
  CHECK(errors(a + a) == Errors{"outboxd.toml:5:8: source.name: \"a\" is the name of another source",
                                "outboxd.toml:6:7: source.url: is the file of the source \"a\" too"});
  for (const char* url : {"a.db", "sqlite://a.db", "sqlite:///", "sqlite:///a/", "postgresql:/a",
                          "postgresql://a b", "sqlite:///a\\n"}) {
    INFO(url);
    const auto found = errors("[[source]]\nname = \"a\"\nurl = \"" + std::string(url) + "\"\n");
    REQUIRE(found.size() == 1);
    CHECK(found[0].starts_with("outboxd.toml:3:7: source.url: is "));
  }
  CHECK(errors("[store]\nurl = \"sqlite:///b/../a.db\"\n" + a) ==
        Errors{"outboxd.toml:3:1: source.url: is store.url; expected the file of an application"});
  const std::string server = "[[source]]\nname = \"b\"\nurl = \"postgresql://outboxd@db.corp/shop\"\n";
  CHECK(errors("[store]\nurl = \"postgresql://outboxd@db.corp/shop\"\n" + server) ==
        Errors{"outboxd.toml:3:1: source.url: is store.url; expected the database of an application"});
  CHECK(errors(server + "[[source]]\nname = \"c\"\nurl = \"postgresql://outboxd@db.corp/shop\"\n") ==
        Errors{"outboxd.toml:6:7: source.url: is the database of the source \"b\" too"});
  const auto secret =
      errors("[[source]]\nname = \"b\"\nurl = \"postgresql://outboxd:sesame@db.corp/shop\"\n");
  REQUIRE(secret.size() == 1);
  CHECK(secret[0].starts_with("outboxd.toml:3:7: source.url: holds a password, which would be shown"));
  CHECK(secret[0].find("sesame") == std::string::npos);
  std::string many;
  for (int i = 0; i < 17; ++i)
    many +=
        "[[source]]\nname = \"" + std::to_string(i) + "\"\nurl = \"sqlite:///" + std::to_string(i) + "\"\n";
  CHECK(errors(many) == Errors{"outboxd.toml:49:1: source: there are more than 16; expected at most 16"});
}
