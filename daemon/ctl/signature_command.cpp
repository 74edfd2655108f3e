// `signature`: sign and verify as outboxd and its subscribers do (Standard Webhooks), without the daemon.
#include <memory>

#include "common/clock.h"
#include "common/signature.h"
#include "ctl/commands.h"
#include "ctl/input.h"
#include "ctl/validators.h"

namespace outboxd::ctl {
namespace {

struct Options {
  std::string secret_file, id, signature;
  std::optional<std::int64_t> timestamp;
  std::optional<std::string> data_file, source;
  std::string tolerance = "5m";
};

std::string body_of(const Options& options) {
  if (options.source && *options.source != "-")
    throw Failure(kExitUsage, "source: only - (stdin) may be given");
  if (options.source && options.data_file) throw Failure(kExitUsage, "--data-file and - exclude each other");
  return read_file(options.data_file.value_or("-"), kMaxInputBytes, "--data-file");
}

int sign(Session& session, const Options& options) {
  const auto key = SigningKey::parse(read_secret(options.secret_file, "--secret-file"));
  const std::int64_t seconds = options.timestamp.value_or(unix_millis(SystemClock().wall()) / 1000);
  const std::string signature = key->sign(options.id, seconds, body_of(options));
  if (session.format() == Format::kTable || session.format() == Format::kId) {
    session.print(signature + "\n");
    return kExitOk;
  }
  const Json headers = {{"webhook-id", options.id},
                        {"webhook-timestamp", std::to_string(seconds)},
                        {"webhook-signature", signature}};
  session.print_object(headers, fields_of(headers, {}));
  return kExitOk;
}

int check(Session& session, const Options& options) {
  const std::string secret = read_secret(options.secret_file, "--secret-file", true);
  const std::string body = body_of(options);
  const std::string timestamp = std::to_string(options.timestamp.value_or(0));
  const auto verdict = verify(secret, {options.id, timestamp, options.signature, body}, SystemClock().wall(),
                              *parse_duration(options.tolerance));
  if (session.prints_json()) {
    Json answer = {{"valid", verdict.has_value()}};
    if (!verdict) answer["reason"] = verdict.error().detail;
    session.print_object(answer, {});
  }
  if (!verdict) throw Failure(kExitFailed, "the signature does not verify: " + verdict.error().detail);
  session.note("the signature verifies");
  return kExitOk;
}

void add_shared_options(CLI::App* command, Options& o) {
  command
      ->add_option("--secret-file", o.secret_file,
                   "A file with the secret: whsec_… or whsk_… (to verify also whpk_…)")
      ->required();
  command->add_option("--id", o.id, "The webhook-id")->required()->check(has_length(1, 256));
  command->add_option("--data-file", o.data_file, "The body from a file (default, and -: stdin)");
  command->add_option("source", o.source, "- reads the body from stdin");
}

CLI::Option* add_timestamp(CLI::App* command, Options& o, const std::string& help) {
  return command->add_option("--timestamp", o.timestamp, help)
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{253'402'300'799}));
}

}  // namespace

void add_signature(CLI::App& app, Session& session) {
  CLI::App* group = add_group(app, "signature", "sign, verify");
  group->group(kDevelop);
  CLI::App* sign_command =
      add_command(*group, "sign", "The webhook-signature of a body",
                  "outboxctl signature sign --secret-file s.txt --id evt_1 --data-file body.json");
  auto o = std::make_shared<Options>();
  add_shared_options(sign_command, *o);
  add_timestamp(sign_command, *o, "The webhook-timestamp in unix seconds (default: now)");
  sign_command->callback([&session, o] { session.action = [&session, o] { return sign(session, *o); }; });

  CLI::App* verify_command =
      add_command(*group, "verify", "Does a signature verify? Exit status 1: no",
                  "outboxctl signature verify --secret-file s.txt --id evt_1 --timestamp 1767225600 "
                  "--signature 'v1,…' --data-file body.json");
  add_shared_options(verify_command, *o);
  add_timestamp(verify_command, *o, "The webhook-timestamp")->required();
  verify_command->add_option("--signature", o->signature, "The webhook-signature")
      ->required()
      ->check(has_length(1, 4096));
  verify_command->add_option("--tolerance", o->tolerance, "How far the timestamp may be from now")
      ->check(is_duration())
      ->capture_default_str();
  verify_command->callback([&session, o] { session.action = [&session, o] { return check(session, *o); }; });
}

}  // namespace outboxd::ctl
