#include "outbound/transfer.h"

#include <algorithm>
#include <stdexcept>

#include "common/text.h"
#include "outbound/peer.h"

namespace outboxd {
namespace {

constexpr long kReceiveBufferBytes = 4096;      // each request in flight has one
constexpr long kConnectionLifeSeconds = 300;    // then a new one, so that a change in DNS is followed
constexpr long kAuthoritiesKeptSeconds = 3600;  // then read again, because the system's may have changed

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw std::runtime_error("libcurl refuses option " + std::to_string(option) + ": " +
                             curl_easy_strerror(code));
  }
}

Millis since(MonotonicTime start, MonotonicTime end) {
  return std::chrono::floor<Millis>(end - start);
}

const std::optional<Denial> kNoAddress = Denial{"not an address", "not an IP address"};

SendResult from_status(int status) {
  SendResult result;
  result.status = status;
  if (status >= 200 && status < 300) {
    result.outcome = Outcome::kSuccess;
    return result;
  }
  result.error = "HTTP status " + std::to_string(status);
  if (status >= 300 && status < 400) {
    result.outcome = Outcome::kRedirect;
    result.error += ", redirects are not followed";
  } else if (status >= 400 && status < 500) {
    result.outcome = Outcome::kHttp4xx;
  } else {
    result.outcome = status < 600 ? Outcome::kHttp5xx : Outcome::kProtocol;
  }
  return result;
}

}  // namespace

Transfer::Transfer(const Sender& sender) : sender_(sender), easy_(curl_easy_init(), curl_easy_cleanup) {
  if (!easy_) throw std::runtime_error("curl_easy_init failed: out of memory");
  set_fixed_options();
}

Transfer::~Transfer() {
  disregard_connection();
}

Transfer& Transfer::of(CURL* easy) {
  char* self = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &self);
  return *reinterpret_cast<Transfer*>(self);
}

// These defaults are kept on purpose: redirects are not followed, .netrc is not read, no cookie engine, no HSTS, no
// alt-svc, no Accept-Encoding.
void Transfer::set_fixed_options() {
  CURL* const e = easy();
  sender_.connections.configure(e);
  set(e, CURLOPT_PRIVATE, this);
  set(e, CURLOPT_ERRORBUFFER, detail_.data());
  set(e, CURLOPT_NOSIGNAL, 1L);
  set(e, CURLOPT_PROTOCOLS_STR, "http,https");
  set(e, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(e, CURLOPT_HTTP09_ALLOWED, 0L);
  set(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(e, CURLOPT_PATH_AS_IS, 1L);
  set(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(e, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  set(e, CURLOPT_MAXLIFETIME_CONN, kConnectionLifeSeconds);

  set(e, CURLOPT_SSL_VERIFYPEER, 1L);
  set(e, CURLOPT_SSL_VERIFYHOST, 2L);
  set(e, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(e, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!sender_.options.ca_file.empty()) set(e, CURLOPT_CAINFO, sender_.options.ca_file.c_str());
  set(e, CURLOPT_CAPATH, sender_.options.ca_file.empty() ? system_authorities_folder() : nullptr);
  set(e, CURLOPT_CA_CACHE_TIMEOUT, kAuthoritiesKeptSeconds);

  set(e, CURLOPT_PROXY, sender_.proxy.url.c_str());  // "" also switches off http_proxy and its like
  set(e, CURLOPT_NOPROXY, "");
  set(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!sender_.proxy.credentials.empty()) set(e, CURLOPT_PROXYUSERPWD, sender_.proxy.credentials.c_str());

  set(e, CURLOPT_HEADERFUNCTION, on_header);
  set(e, CURLOPT_HEADERDATA, this);
  set(e, CURLOPT_WRITEFUNCTION, on_body);
  set(e, CURLOPT_WRITEDATA, this);
  set(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  set(e, CURLOPT_OPENSOCKETDATA, this);
  set(e, CURLOPT_PREREQFUNCTION, on_before_request);
  set(e, CURLOPT_PREREQDATA, this);
  set(e, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
  set(e, CURLOPT_RESOLVER_START_DATA, this);
  set(e, CURLOPT_SSL_CTX_FUNCTION, on_tls_start);
  set(e, CURLOPT_SSL_CTX_DATA, this);
}

void Transfer::prepare(SendRequest new_request, HttpSender::Done new_done, MonotonicTime now) {
  request = std::move(new_request);
  done = std::move(new_done);
  started = now;
  deadline = now + std::max(request.timeout, Millis(1));
  resolved.reset();
  addresses.clear();
  running = false;
  denied_.reset();
  identity.reset();
  fresh_ = false;
  sends_ = 0;
  remote_address_.clear();
  certificate_expires_at_.reset();
}

void Transfer::begin_anew() {
  disregard_connection();
  fresh_ = true;
  sent_ = false;
  running = false;
  resolved.reset();
  addresses.clear();
}

// The endpoint's own authorities replace the system's; they do not add to them.
void Transfer::set_identity() {
  if (set_ == identity) return;
  CURL* const e = easy();
  const auto set_blob = [e](CURLoption option, const std::string* pem) {
    if (pem == nullptr || pem->empty()) return set(e, option, static_cast<curl_blob*>(nullptr));
    curl_blob blob{const_cast<char*>(pem->data()), pem->size(), CURL_BLOB_NOCOPY};
    set(e, option, &blob);
  };
  const bool own_ca = identity && !identity->ca.empty();
  set_blob(CURLOPT_CAINFO_BLOB, identity ? &identity->ca : nullptr);
  set(e, CURLOPT_CAPATH, own_ca || !sender_.options.ca_file.empty() ? nullptr : system_authorities_folder());
  set_blob(CURLOPT_SSLCERT_BLOB, identity ? &identity->cert : nullptr);
  set_blob(CURLOPT_SSLKEY_BLOB, identity ? &identity->key : nullptr);
  set_ = identity;
}

void Transfer::set_headers() {
  header_text_.clear();
  header_offsets_.clear();
  bool has_type = false;
  const auto send = [&](const HeaderField& header) {
    has_type = has_type || ascii_iequals(header.name, "content-type");
    header_offsets_.push_back(header_text_.size());
    header_text_.append(header.name);
    // To libcurl "name:" means to omit the header, "name;" to send it empty.
    if (header.value.find_first_not_of(" \t") == std::string::npos) {
      header_text_.append(";");
    } else {
      header_text_.append(": ").append(header.value);
    }
    header_text_ += '\0';
  };
  for (const HeaderField& header : request.headers) send(header);
  for (const HeaderField& header : request.extra_headers) send(header);
  const auto leave_out = [&](std::string_view name) {
    header_offsets_.push_back(header_text_.size());
    header_text_.append(name).append(":").push_back('\0');
  };
  leave_out("Expect");  // 100-continue costs large bodies a round trip, or a second if not supported
  if (!has_type) leave_out("Content-Type");

  header_list_.resize(header_offsets_.size());
  for (std::size_t i = 0; i < header_list_.size(); ++i) {
    header_list_[i].data = header_text_.data() + header_offsets_[i];
    header_list_[i].next = i + 1 < header_list_.size() ? &header_list_[i + 1] : nullptr;
  }
}

void Transfer::launch(PinnedAddresses::Pin pin, MonotonicTime now) {
  launched_ = now;
  denied_connection_ = false;
  sent_ = false;
  heard_ = false;
  denied_.reset();
  tls_started_.reset();
  opened_.clear();
  connected_ = false;
  detail_[0] = '\0';
  reader_ = ResponseReader(sender_.options.max_response_bytes);
  set_headers();
  set_identity();

  CURL* const e = easy();
  set(e, CURLOPT_URL, request.url.text.c_str());
  set(e, CURLOPT_HTTPHEADER, header_list_.data());
  set(e, CURLOPT_POSTFIELDS, request.body ? request.body->data() : "");
  set(e, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body ? request.body->size() : 0));
  set(e, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max(request.connect_timeout, Millis(1)).count()));
  set(e, CURLOPT_FRESH_CONNECT, fresh_ ? 1L : 0L);
  pin_ = std::move(pin.entry);
  pin_list_ = {pin_.data(), nullptr};
  set(e, CURLOPT_RESOLVE, pin_.empty() ? nullptr : &pin_list_);
  // After each transfer libcurl walks its whole address cache, unless told that entries never expire.
  set(e, CURLOPT_DNS_CACHE_TIMEOUT, pin.prune ? static_cast<long>(PinnedAddresses::kForgotten.count()) : -1L);
}

std::size_t Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const bool before = transfer.reader_.head_complete();
  const bool go_on = transfer.reader_.on_header_line({data, size});
  if (!before && transfer.reader_.head_complete()) transfer.sender_.on_head_complete(transfer);
  return go_on ? size : 0;
}

std::size_t Transfer::on_body(char* data, std::size_t, std::size_t size, void* self) {
  return static_cast<Transfer*>(self)->reader_.on_body({data, size}) ? size : 0;
}

// The third check of the address: whatever led libcurl to it, no socket is opened where the policy forbids. Nor is one
// for a request that was already sent, because libcurl would send it again.
curl_socket_t Transfer::on_open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.sent_) return CURL_SOCKET_BAD;
  if (transfer.sender_.proxy.url.empty()) {
    const auto ip = IpAddress::from_sockaddr(&address->addr);
    transfer.denied_ =
        ip ? transfer.sender_.policy->why_denied(transfer.request.url.host, transfer.request.url.port, *ip)
           : kNoAddress;
    if (transfer.denied_) return CURL_SOCKET_BAD;
  }
  const curl_socket_t fd = transfer.sender_.connections.open_socket(*address);
  if (fd != CURL_SOCKET_BAD) transfer.opened_.push_back(fd);
  return fd;
}

// The fourth check, and the only one that libcurl offers for a connection that is already open.
int Transfer::on_before_request(void* self, char* remote_ip, char* local_ip, int remote_port,
                                int local_port) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.sent_) return CURL_PREREQFUNC_ABORT;
  const CurlLoop::Ends ends{local_ip, remote_ip, local_port, remote_port};
  transfer.sender_.connections.connected(transfer.opened_, ends);
  transfer.connected_ = true;
  transfer.denied_ = transfer.why_denied_now(remote_ip, local_ip);
  long opened = 0;
  curl_easy_getinfo(transfer.easy(), CURLINFO_NUM_CONNECTS, &opened);
  transfer.denied_connection_ = transfer.denied_ && opened == 0;
  if (transfer.denied_) return CURL_PREREQFUNC_ABORT;
  transfer.remote_address_ = address_text(remote_ip, remote_port);
  // On a kept connection too: it may have been made for another endpoint at the same host.
  if (transfer.request.url.https) transfer.certificate_expires_at_ = certificate_expiry(transfer.easy());
  transfer.leaves(ends, opened == 0);
  return CURL_PREREQFUNC_OK;
}

// libcurl by itself sends a request again when a kept-alive connection ends without an answer, and would do so on the
// next one. Told to use a fresh connection, it must ask for a socket, which it does not get.
void Transfer::leaves(const CurlLoop::Ends& ends, bool on_kept_connection) {
  sent_ = true;
  ++sends_;
  if (!on_kept_connection) return;
  curl_easy_setopt(easy(), CURLOPT_FRESH_CONNECT, 1L);
  kept_ = sender_.connections.listen(ends, request.url.https, &heard_);
}

bool Transfer::ended_unanswered() {
  if (kept_ == CURL_SOCKET_BAD || reader_.anything_came()) return false;
  sender_.connections.look(kept_, &heard_);
  return !heard_;
}

void Transfer::disregard_connection() {
  if (kept_ != CURL_SOCKET_BAD) sender_.connections.disregard(kept_, &heard_);
  kept_ = CURL_SOCKET_BAD;
}

std::optional<Denial> Transfer::why_denied_now(const char* remote_ip, const char* local_ip) const {
  const AddressPolicy& policy = *sender_.policy;
  const EndpointUrl& url = request.url;
  if (auto why = policy.why_denied(url)) return why;
  if (sender_.proxy.url.empty()) {
    const auto ip = IpAddress::parse(remote_ip);
    if (!ip) return kNoAddress;
    if (auto why = policy.why_denied(url.host, url.port, *ip)) return why;
    // If both ends have the same address, it is this machine, whatever addresses it was given since the start.
    return ip == IpAddress::parse(local_ip) ? policy.why_own_port_denied(url.port) : std::nullopt;
  }
  for (const IpAddress& address : addresses) {
    if (auto why = policy.why_denied(url.host, url.port, address)) return why;
  }
  return std::nullopt;
}

// Our resolver has resolved every name before libcurl hears of it: only an address may still be "resolved" there.
int Transfer::on_resolve(void*, void*, void* self) {
  const auto& transfer = *static_cast<const Transfer*>(self);
  const auto& proxy = transfer.sender_.proxy;
  const bool is_address =
      proxy.url.empty() ? transfer.request.url.host_is_address : IpAddress::parse(proxy.host).has_value();
  return is_address ? 0 : 1;
}

// Until the handshake is over, libcurl does not report that and when the connection was made.
CURLcode Transfer::on_tls_start(CURL* easy, void*, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.tls_started_ = std::chrono::steady_clock::now();
  char* ip = nullptr;
  long port = 0;
  curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
  transfer.remote_address_ = address_text(ip, static_cast<int>(port));
  return CURLE_OK;
}

void Transfer::add_way(SendResult& result) const {
  // An address that the policy refuses is not shown, because whoever chose the URL could read it.
  if (sends_ > 0 || result.outcome != Outcome::kBlocked) result.remote_address = remote_address_;
  result.certificate_expires_at = certificate_expires_at_;
  result.resent = sends_ > 1;
  if (fresh_ && sends_ == 1 && !sent_ && result.outcome != Outcome::kBlocked)
    result.error = "the connection ended before a response, and then: " + result.error;
}

void Transfer::add_timings(AttemptTimings& timings) const {
  timings.total = since(started, std::chrono::steady_clock::now());
  if (resolved) timings.dns = since(started, *resolved);
  if (!running) return;
  const auto stage = [&](CURLINFO info) -> std::optional<Millis> {
    curl_off_t micros = 0;
    curl_easy_getinfo(easy(), info, &micros);
    if (micros == 0) return std::nullopt;
    return since(started, launched_ + std::chrono::microseconds(micros));
  };
  timings.first_byte = reader_.anything_came() ? stage(CURLINFO_STARTTRANSFER_TIME_T) : std::nullopt;
  long opened = 0;
  curl_easy_getinfo(easy(), CURLINFO_NUM_CONNECTS, &opened);
  const bool reused = opened == 0 && reader_.anything_came();
  if (reused) timings.dns = timings.connect = Millis(0);
  if (!reused)
    timings.connect = tls_started_ ? since(started, *tls_started_) : stage(CURLINFO_CONNECT_TIME_T);
  if (request.url.https) timings.tls = reused ? Millis(0) : stage(CURLINFO_APPCONNECT_TIME_T);
}

Progress Transfer::progress() const {
  return {.tls_started = tls_started_.has_value(),
          .connected = connected_,
          .head_began = reader_.anything_came(),
          .body_bytes = request.body ? request.body->size() : 0};
}

SendResult Transfer::result(std::optional<CURLcode> code) {
  SendResult result;
  if (reader_.head_complete()) {
    result = from_status(reader_.status());
  } else if (denied_) {
    sender_.on_denied(request.url.host, *denied_);
    result.outcome = Outcome::kBlocked;
    result.error = kUrlNotAllowed;
    result.denial = denied_->for_operators();
  } else if (!reader_.refusal().empty()) {
    result.outcome = Outcome::kProtocol;
    result.error = reader_.refusal();
  } else if (code) {
    if (sent_ && is_want_of_connection(*code)) code = CURLE_GOT_NOTHING;  // libcurl tried to send it again
    auto [outcome, text] = failure_of(easy(), *code, detail_.data(), progress(), request.connect_timeout);
    result.outcome = outcome;
    result.error = std::move(text);
  } else {
    result.outcome = Outcome::kTimeout;
    result.error = "timed out after " + format_duration(request.timeout) + " ";
    result.error.append(stage_of(easy(), progress()));
  }
  if (!reader_.head_complete()) result.status = 0;
  add_timings(result.timings);
  add_way(result);
  result.response_headers = std::move(reader_.headers());
  result.response_body = std::move(reader_.body());
  result.retry_after = std::move(reader_.retry_after());
  return result;
}

void Transfer::clear() {
  disregard_connection();
  request = {};
  identity.reset();
  done = nullptr;
  running = false;
}

}  // namespace outboxd
