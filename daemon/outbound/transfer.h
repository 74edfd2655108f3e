// One request on its way through libcurl: the easy handle with every option that safety rests on, and the
// callbacks by which libcurl asks and reports. For HttpSender alone, which decides when and where to; reused
// from request to request.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "outbound/address_policy.h"
#include "outbound/curl_failure.h"
#include "outbound/curl_loop.h"
#include "outbound/http_sender.h"
#include "outbound/pinned_addresses.h"
#include "outbound/proxy.h"
#include "outbound/response_reader.h"
#include "outbound/tls_files.h"

namespace outboxd {

class Transfer {
 public:
  // What transfers share; outlives them.
  struct Sender {
    std::shared_ptr<const AddressPolicy> policy;
    Proxy proxy;
    const HttpSender::Options& options;
    CurlLoop& connections;
    std::function<void(Transfer&)> on_head_complete;  // called inside libcurl: touch no handle
    std::function<void(const std::string& host, const Denial&)> on_denied;
  };

  explicit Transfer(const Sender& sender);
  ~Transfer();
  Transfer(const Transfer&) = delete;

  void prepare(SendRequest request, HttpSender::Done done, MonotonicTime now);
  // Ready to be added to the CurlLoop.
  void launch(PinnedAddresses::Pin pin, MonotonicTime now);
  // What came of it. Without a complete head: `code` and why it failed, or a timeout when there is no code.
  SendResult result(std::optional<CURLcode> code);
  void clear();  // forgets the request

  CURL* easy() const { return easy_.get(); }
  static Transfer& of(CURL* easy);
  // It was about to go out on an open connection to an address that is denied now, and nothing was sent; or it was
  // sent on an open connection that ended before any byte of a response, as one does that the other side was just
  // closing. A fresh connection may do.
  bool wants_fresh_connection() { return !fresh_ && (denied_connection_ || ended_unanswered()); }
  void begin_anew();                       // then: from the start, and on a connection of its own
  void add_way(SendResult& result) const;  // where it went, how often

  SendRequest request;
  std::shared_ptr<const TlsIdentity> identity;  // of request.tls
  HttpSender::Done done;
  MonotonicTime started, deadline;
  std::optional<MonotonicTime> resolved;
  std::vector<IpAddress> addresses;  // that the policy allowed
  // HttpSender's bookkeeping.
  std::uint64_t id = 0;
  std::size_t position = 0;
  std::size_t pool = 0;  // where it runs, see HttpSender::Impl
  EventLoop::TimerId timer;
  bool running = false;  // libcurl has it

 private:
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype, curl_sockaddr* address);
  static int on_before_request(void* self, char* remote_ip, char* local_ip, int remote_port, int local_port);
  static int on_resolve(void*, void*, void* self);
  static CURLcode on_tls_start(CURL* easy, void*, void* self);

  void set_fixed_options();
  void set_headers();
  void set_identity();
  void leaves(const CurlLoop::Ends& ends, bool on_kept_connection);
  void disregard_connection();
  bool ended_unanswered();
  std::optional<Denial> why_denied_now(const char* remote_ip, const char* local_ip) const;
  Progress progress() const;
  void add_timings(AttemptTimings& timings) const;

  const Sender& sender_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_;
  ResponseReader reader_;
  MonotonicTime launched_;
  std::optional<MonotonicTime> tls_started_;
  std::vector<curl_socket_t> opened_;
  bool connected_ = false;
  bool fresh_ = false;
  bool denied_connection_ = false;
  bool sent_ = false;                     // since the launch
  curl_socket_t kept_ = CURL_SOCKET_BAD;  // it was sent on this one, which had served before
  bool heard_ = false;                    // something came over that until it was closed
  int sends_ = 0;                         // in all
  std::string remote_address_;
  std::optional<Denial> denied_;            // the policy stepped in after the launch
  std::shared_ptr<const TlsIdentity> set_;  // in the easy handle
  std::array<char, CURL_ERROR_SIZE> detail_{};
  std::string header_text_;
  std::vector<std::size_t> header_offsets_;
  std::vector<curl_slist> header_list_;
  std::string pin_;
  curl_slist pin_list_{};
};

}  // namespace outboxd
