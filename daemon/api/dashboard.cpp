// The dashboard's files, as they were embedded at build time. They tell nothing of anybody's events: what the pages show comes
// from the API, with the caller's right to it.
#include <algorithm>
#include <array>

#include "api/handling.h"
#include "api/routes.h"
#include "common/text.h"
#include "migrations/embedded.h"

namespace outboxd::api {
namespace {

constexpr std::string_view kIndex = "index.html";
constexpr std::string_view kPage = "text/html; charset=utf-8";
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Asset {
  std::string_view name, content_type, text;
  std::string etag;  // of the text
};

std::string_view content_type_of(std::string_view name) {
  struct Type {
    std::string_view ending, content_type;
  };
  constexpr std::array<Type, 4> kTypes{
      {{".html", kPage}, {".js", "text/javascript"}, {".css", "text/css"}, {".svg", "image/svg+xml"}}};
  const auto found =
      std::ranges::find_if(kTypes, [name](const Type& type) { return name.ends_with(type.ending); });
  return found == kTypes.end() ? "application/octet-stream" : found->content_type;
}

const std::vector<Asset>& assets() {
  static const std::vector<Asset> all = [] {
    std::vector<Asset> made;
    const auto files = embedded::dashboard();
    made.reserve(files.size());
    for (const auto& file : files) {
      made.push_back(
          {file.name, content_type_of(file.name), file.text, '"' + hex_encode(sha256(file.text)) + '"'});
    }
    return made;
  }();
  return all;
}

// RFC 9110, 13.1.2: a list of tags, compared as weak ones, or *.
bool names_tag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    const auto end = std::min(if_none_match.find(','), if_none_match.size());
    auto tag = trim(if_none_match.substr(0, end), kHttpBlanks);
    if_none_match.remove_prefix(std::min(end + 1, if_none_match.size()));
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
  }
  return false;
}

Result<Answer> show_asset(const Request& request, std::string_view name) {
  const auto asset = std::ranges::find(assets(), name, &Asset::name);
  if (asset == assets().end()) return problem(ProblemCode::kNotFound, "There is nothing at this path.");
  Answer answer;
  answer.content_type = asset->content_type;
  // A browser asks each time whether its copy is still good: after an upgrade no page mixes two versions.
  answer.headers = {{"cache-control", "no-cache"}, {"etag", asset->etag}};
  if (asset->content_type == kPage) {
    answer.headers.insert(answer.headers.end(), {{"content-security-policy", kPolicy},
                                                 {"x-frame-options", "DENY"},
                                                 {"referrer-policy", "no-referrer"},
                                                 {"cross-origin-opener-policy", "same-origin"}});
  }
  if (names_tag(request.header("if-none-match").value_or(""), asset->etag)) {
    answer.status = 304;
    return answer;
  }
  answer.body = asset->text;
  return answer;
}

Result<Answer> show_index(Context&, const Request& request) {
  return show_asset(request, kIndex);
}

Result<Answer> show_file(Context&, const Request& request) {
  return show_asset(request, request.path_parameters.at(0));
}

}  // namespace

std::vector<Route> dashboard_routes(Context& context) {
  return {{"GET", "/", Access::kOpen, answering(context, show_index)},
          {"GET", "/dashboard/{file}", Access::kOpen, answering(context, show_file)}};
}

}  // namespace outboxd::api
