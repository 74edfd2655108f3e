#include <algorithm>
#include <array>

#include "common/endpoint_reading.h"
#include "common/media_type.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr Millis kMinDisableAfter = std::chrono::minutes(1);
constexpr Millis kMaxDisableAfter = std::chrono::hours(24 * 365);
constexpr std::size_t kMaxUserOrPassword = 256;  // bytes
constexpr const char* kSecretRequired =
    "is required: null keeps the one that is stored, and there is none for this";

// Only the members that `names` has; others are refused.
bool has_only(EndpointReading& in, const Json& object, const std::string& below, std::string_view what,
              std::span<const std::string_view> names) {
  bool ok = true;
  for (const auto& item : object.items()) {
    if (std::ranges::find(names, item.key()) != names.end()) continue;
    in.refuse("is not a field of " + std::string(what) + did_you_mean(item.key(), names),
              below + pointer_to(item.key()));
    ok = false;
  }
  return ok;
}

// The member's text; nullptr, with an error reported, if it is missing or no string.
const std::string* text_of(EndpointReading& in, const Json& object, const char* name,
                           const std::string& below) {
  const auto found = object.find(name);
  if (found == object.end()) {
    in.refuse("is required", below + "/" + name);
    return nullptr;
  }
  return in.text(*found, below + "/" + name);
}

bool is_visible_text(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && escape_control(text) == text;
}

// A value that takes the place of `kept` (the secret of the same credentials; null: there are none) unless it is null.
std::optional<std::string> secret_of(EndpointReading& in, const Json& object, const char* name,
                                     const std::string& below, const std::string* kept) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) {
    if (kept != nullptr) return *kept;
    in.refuse(kSecretRequired, below + "/" + name);
    return std::nullopt;
  }
  const std::string* text = in.text(*found, below + "/" + name);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

// Refuses what a header's value cannot be.
bool is_header_value(EndpointReading& in, const std::string& value, const std::string& below) {
  auto why = why_header_refused("x", value);
  if (why) in.refuse(std::move(*why), below);
  return !why;
}

std::optional<EndpointAuth> bearer_of(EndpointReading& in, const Json& wanted) {
  const auto& kept = in.endpoint.auth;
  const bool same = kept && kept->scheme == AuthScheme::kBearer;
  const auto token = secret_of(in, wanted, "bearer", "", same ? &kept->secret : nullptr);
  if (!token || !is_header_value(in, *token, "/bearer")) return std::nullopt;
  EndpointAuth auth{.scheme = AuthScheme::kBearer, .name = {}, .secret = *token};
  if (!is_header_value(in, header_of(auth).value, "/bearer")) return std::nullopt;
  return auth;
}

std::optional<EndpointAuth> basic_of(EndpointReading& in, const Json& wanted) {
  constexpr std::array<std::string_view, 2> kMembers = {"user", "password"};
  if (!has_only(in, wanted, "/basic", "basic", kMembers)) return std::nullopt;
  const std::string* user = text_of(in, wanted, "user", "/basic");
  if (user == nullptr) return std::nullopt;
  if (!is_visible_text(*user, kMaxUserOrPassword) || user->find(':') != std::string::npos) {
    in.refuse("must be 1 to 256 bytes of UTF-8 without a colon or control characters", "/basic/user");
    return std::nullopt;
  }
  const auto& kept = in.endpoint.auth;
  const bool same = kept && kept->scheme == AuthScheme::kBasic && kept->name == *user;
  const auto password = secret_of(in, wanted, "password", "/basic", same ? &kept->secret : nullptr);
  if (!password) return std::nullopt;
  if (!password->empty() && !is_visible_text(*password, kMaxUserOrPassword)) {
    in.refuse("must be at most 256 bytes of UTF-8 without control characters", "/basic/password");
    return std::nullopt;
  }
  return EndpointAuth{.scheme = AuthScheme::kBasic, .name = *user, .secret = *password};
}

std::optional<EndpointAuth> header_auth_of(EndpointReading& in, const Json& wanted) {
  constexpr std::array<std::string_view, 2> kMembers = {"name", "value"};
  if (!has_only(in, wanted, "/header", "header", kMembers)) return std::nullopt;
  const std::string* name = text_of(in, wanted, "name", "/header");
  if (name == nullptr) return std::nullopt;
  if (auto why = why_header_refused(*name, "x")) {
    in.refuse(std::move(*why), "/header/name");
    return std::nullopt;
  }
  const auto& kept = in.endpoint.auth;
  const bool same = kept && kept->scheme == AuthScheme::kHeader && ascii_iequals(kept->name, *name);
  const auto value = secret_of(in, wanted, "value", "/header", same ? &kept->secret : nullptr);
  if (!value || !is_header_value(in, *value, "/header/value")) return std::nullopt;
  return EndpointAuth{.scheme = AuthScheme::kHeader, .name = *name, .secret = *value};
}

// Every scheme but hmac has its own defaults, and lets less be chosen.
struct SchemeRules {
  SignatureScheme scheme;
  LegacySignature (*defaults)();
  std::span<const std::string_view> members;
};
constexpr std::array<std::string_view, 2> kGithubMembers = {"scheme", "secret"};
constexpr std::array<std::string_view, 3> kStripeMembers = {"scheme", "secret", "header"};
constexpr std::array<std::string_view, 7> kHmacMembers = {"scheme",   "secret", "header", "algorithm",
                                                          "encoding", "prefix", "over"};
const std::array<SchemeRules, 3> kSchemeRules = {{
    {SignatureScheme::kGithub, github_signature, kGithubMembers},
    {SignatureScheme::kStripe, stripe_signature, kStripeMembers},
    {SignatureScheme::kHmac, [] { return LegacySignature{}; }, kHmacMembers},
}};

class SignatureReader {
 public:
  SignatureReader(EndpointReading& in, const Json& wanted, std::string below)
      : in_(in), wanted_(wanted), below_(std::move(below)) {}

  // Whatever is wrong is reported.
  LegacySignature read() {
    if (!wanted_.is_object()) {
      in_.refuse("must be an object, such as {\"scheme\": \"github\", \"secret\": \"…\"}", below_);
      return {};
    }
    SignatureScheme scheme = SignatureScheme::kHmac;
    if (!wanted_.contains("scheme")) {
      in_.refuse("is required: github, stripe or hmac", below_ + "/scheme");
      return {};
    }
    if (!word("scheme", parse_signature_scheme, scheme, {"github", "stripe", "hmac"})) return {};
    const SchemeRules& rules = *std::ranges::find(kSchemeRules, scheme, &SchemeRules::scheme);
    made_ = rules.defaults();
    if (!has_only(in_, wanted_, below_, to_string(scheme), rules.members)) return {};
    read_header();
    word("algorithm", parse_signature_digest, made_.algorithm, {"sha1", "sha256", "sha512"});
    word("encoding", parse_signature_encoding, made_.encoding, {"hex", "base64"});
    word("over", parse_signature_over, made_.over, {"body", "timestamp.body", "id.timestamp.body"});
    read_prefix();
    read_secret();
    return std::move(made_);
  }

 private:
  template <class Enum>
  bool word(const char* name, std::optional<Enum> (*parse)(std::string_view), Enum& field,
            std::initializer_list<std::string_view> words) {
    if (!wanted_.contains(name)) return false;
    const std::string its = below_ + "/" + name;
    const std::string* text = in_.text(wanted_[name], its);
    if (text == nullptr) return false;
    const auto value = parse(*text);
    if (!value) in_.refuse("must be " + one_of(words) + did_you_mean(*text, words), its);
    field = value.value_or(field);
    return value.has_value();
  }

  void read_header() {
    const std::string its = below_ + "/header";
    if (!wanted_.contains("header")) {
      if (made_.header.empty()) in_.refuse("is required: the header that the signature goes into", its);
      return;
    }
    const std::string* text = in_.text(wanted_["header"], its);
    if (text == nullptr) return;
    if (auto why = why_header_refused(*text, "x")) return in_.refuse(std::move(*why), its);
    made_.header = *text;
  }

  void read_prefix() {
    if (!wanted_.contains("prefix")) return;
    const std::string* text = in_.text(wanted_["prefix"], below_ + "/prefix");
    if (text == nullptr) return;
    const bool visible = std::ranges::all_of(*text, [](char c) { return c >= ' ' && c <= '~'; });
    if (!visible || text->size() > LegacySignature::kMaxPrefix || text->starts_with(' '))
      return in_.refuse("must be at most 32 visible ASCII characters, such as \"sha256=\"",
                        below_ + "/prefix");
    made_.prefix = *text;
  }

  void read_secret() {
    const auto& stored = in_.endpoint.signatures;
    const auto kept = std::ranges::find_if(stored, [this](const LegacySignature& other) {
      return other.scheme == made_.scheme && ascii_iequals(other.header, made_.header);
    });
    auto secret = secret_of(in_, wanted_, "secret", below_, kept == stored.end() ? nullptr : &kept->secret);
    if (!secret) return;
    if (!is_visible_text(*secret, LegacySignature::kMaxSecret))
      return in_.refuse("must be 1 to 256 bytes of UTF-8 without control characters", below_ + "/secret");
    made_.secret = std::move(*secret);
  }

  EndpointReading& in_;
  const Json& wanted_;
  const std::string below_;
  LegacySignature made_;
};

}  // namespace

void read_auth(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.auth.reset();
  constexpr std::array<std::string_view, 3> kSchemes = {"bearer", "basic", "header"};
  if (!value.is_object() || value.size() != 1)
    return in.refuse("must be an object of one of bearer, basic and header, or null");
  if (!has_only(in, value, "", "auth", kSchemes)) return;
  const std::string scheme = value.begin().key();
  if (scheme != "bearer" && !value.front().is_object())
    return in.refuse(
        scheme == "basic" ? "must be an object of user and password" : "must be an object of name and value",
        "/" + scheme);
  auto auth = scheme == "bearer"  ? bearer_of(in, value)
              : scheme == "basic" ? basic_of(in, value.front())
                                  : header_auth_of(in, value.front());
  if (auth) in.endpoint.auth = std::move(auth);
}

void read_signatures(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.signatures.clear();
  if (!value.is_array() || value.size() > LegacySignature::kMaxPerEndpoint)
    return in.refuse("must be an array of at most 4 signatures");
  std::vector<LegacySignature> signatures;
  signatures.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i)
    signatures.push_back(SignatureReader(in, value[i], "/" + std::to_string(i)).read());
  in.endpoint.signatures = std::move(signatures);
}

void read_body_template(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.body_template.reset();
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  auto parsed = BodyTemplate::parse(*text);
  if (!parsed) return in.refuse(std::move(parsed.error()));
  in.endpoint.body_template = std::move(*parsed);
}

void read_content_type(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.content_type.reset();
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  if (!is_media_type(*text))
    return in.refuse("must be a media type such as \"application/json; charset=utf-8\", at most 255 bytes");
  in.endpoint.content_type = *text;
}

void read_disable_after(EndpointReading& in, const Json& value) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  if (*text == "never") return in.endpoint.disable_after.reset();
  const auto duration = parse_duration(*text);
  if (!duration || *duration < kMinDisableAfter || *duration > kMaxDisableAfter)
    return in.refuse("must be a duration from 1m to 365d, such as \"5d\", or \"never\"");
  in.endpoint.disable_after = duration;
}

void check_shape(EndpointReading& in) {
  const Endpoint& e = in.endpoint;
  if (e.body_template && e.format != PayloadFormat::kRaw) {
    in.field = "/body_template";
    in.refuse("goes with the format raw alone: a template is a format of its own");
  }
  // Two values of one header: a receiver would take either, or both.
  std::vector<std::string> taken;
  taken.reserve(e.headers.size() + e.signatures.size() + 1);
  for (const HeaderField& header : e.headers) taken.push_back(ascii_lower(header.name));
  const auto take = [&](const std::string& name, const std::string& field) {
    std::string lower = ascii_lower(name);
    if (std::ranges::find(taken, lower) != taken.end()) {
      in.field = field;
      in.refuse("would send the header " + lower + " a second time: it is in headers, auth or signatures");
    }
    taken.push_back(std::move(lower));
  };
  if (e.auth) take(header_of(*e.auth).name, "/auth");
  for (std::size_t i = 0; i < e.signatures.size(); ++i)
    if (!e.signatures[i].header.empty()) take(e.signatures[i].header, "/signatures/" + std::to_string(i));
}

}  // namespace outboxd
