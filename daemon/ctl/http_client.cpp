#include "ctl/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace outboxd::ctl {
namespace {

struct HeaderListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, HeaderListDeleter>;

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

void append(HeaderList& list, const std::string& line) {
  curl_slist* grown = curl_slist_append(list.get(), line.c_str());
  if (!grown) throw std::bad_alloc();
  (void)list.release();
  list.reset(grown);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

struct Collector {
  std::string body;
  bool too_large = false;
};

std::size_t collect(char* data, std::size_t size, std::size_t count, void* to) {
  auto& collector = *static_cast<Collector*>(to);
  const std::size_t bytes = size * count;
  if (collector.body.size() + bytes > kMaxAnswerBytes) {
    collector.too_large = true;
    return 0;
  }
  collector.body.append(data, bytes);
  return bytes;
}

std::string describe(CURL* curl, CURLcode code, bool too_large) {
  if (too_large) return "the answer is larger than " + std::to_string(kMaxAnswerBytes >> 20) + " MiB";
  long os_error = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
  if (code == CURLE_COULDNT_CONNECT && os_error != 0) return std::strerror(static_cast<int>(os_error));
  return curl_easy_strerror(code);
}

// Everything but what becomes of the answer. The headers returned must live as long as the exchange.
tl::expected<HeaderList, std::string> set_up(CURL* curl, const HttpRequest& request) {
  curl_easy_reset(curl);  // keeps the connection open
  HeaderList headers;
  append(headers, "Expect:");  // saves the round trip of 100-continue before large bodies
  for (const HeaderField& field : request.headers) {
    // libcurl would send a line break as it is, and so let a value forge another header.
    if (has_control(field.name) || has_control(field.value))
      return tl::unexpected("header " + field.name + " has control bytes");
    append(headers, field.name + ": " + field.value);
  }
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, request.path_as_is ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectTimeout.count()));
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!request.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  if (!request.unix_socket.empty())
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  if (request.method == "POST" || !request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data() ? request.body.data() : "");
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  return headers;
}

std::vector<HeaderField> headers_of(CURL* curl) {
  std::vector<HeaderField> headers;
  curl_header* header = nullptr;
  while ((header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header)) != nullptr) {
    headers.push_back({header->name, header->value});
  }
  return headers;
}

HttpResponse response_of(CURL* curl, std::string body) {
  HttpResponse response;
  long status = 0;
  char* content_type = nullptr;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &content_type);
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  response.status = static_cast<int>(status);
  if (content_type) response.content_type = content_type;
  response.retry_after = retry_after;
  response.headers = headers_of(curl);
  response.body = std::move(body);
  return response;
}

// Hands the bytes of a 2xx on, and collects those of any other answer. What `take` throws is kept: no exception may
// pass through libcurl.
struct Handover {
  CURL* curl;
  const AnswerReceiver& receiver;
  Collector refused = {};
  std::exception_ptr thrown = {};
  MonotonicTime heard_at = std::chrono::steady_clock::now();
};

std::size_t hand_over(char* data, std::size_t size, std::size_t count, void* to) {
  auto& handover = *static_cast<Handover*>(to);
  handover.heard_at = std::chrono::steady_clock::now();
  long status = 0;
  curl_easy_getinfo(handover.curl, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status > 299) return collect(data, size, count, &handover.refused);
  try {
    handover.receiver.take({data, size * count});
    handover.heard_at = std::chrono::steady_clock::now();  // it may have taken its time
    return size * count;
  } catch (...) {
    handover.thrown = std::current_exception();
    return 0;
  }
}

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// Drives one transfer to its end; nullopt: it was stopped, or nothing came for too long.
std::optional<CURLcode> drive(CURLM* multi, const Handover& handover) {
  for (int running = 1; running > 0;) {
    curl_multi_perform(multi, &running);
    if (running == 0) break;
    curl_waitfd stop{handover.receiver.stop_fd, CURL_WAIT_POLLIN, 0};
    curl_multi_poll(multi, &stop, stop.fd < 0 ? 0 : 1, 1000, nullptr);
    if (stop.revents != 0) return std::nullopt;
    if (std::chrono::steady_clock::now() - handover.heard_at > handover.receiver.silence) return std::nullopt;
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi, &left);
  return message ? message->data.result : CURLE_FAILED_INIT;
}

std::optional<std::string> part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK || !text) return std::nullopt;
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient() : handle_(std::make_unique<Handle>()) {
  if (!handle_->curl) throw std::runtime_error("libcurl cannot be initialised");
}

HttpClient::~HttpClient() = default;

tl::expected<HttpResponse, std::string> HttpClient::send(const HttpRequest& request) {
  CURL* curl = handle_->curl;
  const auto headers = set_up(curl, request);
  if (!headers) return tl::unexpected(headers.error());
  Collector collector;
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &collector);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return tl::unexpected(describe(curl, code, collector.too_large));
  return response_of(curl, std::move(collector.body));
}

tl::expected<HttpResponse, std::string> HttpClient::receive(const HttpRequest& request,
                                                            const AnswerReceiver& receiver) {
  CURL* curl = handle_->curl;
  const auto headers = set_up(curl, request);
  if (!headers) return tl::unexpected(headers.error());
  Handover handover{curl, receiver};
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, hand_over);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &handover);
  const std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  if (!multi) throw std::bad_alloc();
  curl_multi_add_handle(multi.get(), curl);
  const auto code = drive(multi.get(), handover);
  curl_multi_remove_handle(multi.get(), curl);
  if (handover.thrown) std::rethrow_exception(handover.thrown);
  HttpResponse response = response_of(curl, std::move(handover.refused.body));
  // A connection that breaks ends an answer that goes on: only without any status was there no answer.
  if (response.status == 0) {
    return tl::unexpected(code ? describe(curl, *code, handover.refused.too_large)
                               : std::string("it does not answer"));
  }
  return response;
}

std::optional<std::string> why_base_url_refused(const std::string& url) {
  std::unique_ptr<CURLU, CurlUrlDeleter> parsed(curl_url());
  if (has_control(url)) return "it has control bytes";
  if (const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0); code != CURLUE_OK) {
    return "not a URL like http://127.0.0.1:8877";
  }
  const auto scheme = part_of(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "it must begin with http:// or https://";
  if (part_of(parsed.get(), CURLUPART_USER) || part_of(parsed.get(), CURLUPART_PASSWORD)) {
    return "it must not contain a user name; give a token with --token-file";
  }
  if (part_of(parsed.get(), CURLUPART_QUERY) || part_of(parsed.get(), CURLUPART_FRAGMENT))
    return "it must end with the host or a path";
  return std::nullopt;
}

bool is_loopback_url(const std::string& url) {
  std::unique_ptr<CURLU, CurlUrlDeleter> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  const std::string host = part_of(parsed.get(), CURLUPART_HOST).value_or("");
  return host == "localhost" || host.ends_with(".localhost") ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos) ||
         host == "[::1]";
}

}  // namespace outboxd::ctl
