// One request on its way through libcurl: the easy handle with every option that security depends on, and the callbacks
// by which libcurl asks and reports. Only for HttpSender, which decides when and where to; reused from request to
// request.
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
  // Shared by transfers; outlives them.
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
  // The result. Without a complete head: the failure that `code` stands for, or a timeout if there is no code.
  SendResult result(std::optional<CURLcode> code);
  void clear();  // forgets the request

  CURL* easy() const { return easy_.get(); }
  static Transfer& of(CURL* easy);
  // True if nothing was sent because the open connection leads to an address that is denied now, or if the request was
  // sent on an open connection that ended before any byte of a response, as happens when the other side was just
  // closing it. A fresh connection may work.
  bool wants_fresh_connection() { return !fresh_ && (denied_connection_ || ended_unanswered()); }
  void begin_anew();                       // restarts it, this time on a connection of its own
  void add_way(SendResult& result) const;  // adds where it went and how often

  SendRequest request;
  std::shared_ptr<const TlsIdentity> identity;  // of request.tls
  HttpSender::Done done;
  MonotonicTime started, deadline;
  std::optional<MonotonicTime> resolved;
  std::vector<IpAddress> addresses;  // addresses that the policy allowed
  // HttpSender's bookkeeping.
  std::uint64_t id = 0;
  std::size_t position = 0;
  std::size_t pool = 0;  // index of its pool, see HttpSender::Impl
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
  curl_socket_t kept_ = CURL_SOCKET_BAD;  // the reused connection that it was sent on
  bool heard_ = false;                    // something arrived on kept_ before it was closed
  int sends_ = 0;                         // in total, over all launches
  std::string remote_address_;
  std::optional<Time> certificate_expires_at_;
  std::optional<Denial> denied_;            // set if the policy denied it after the launch
  std::shared_ptr<const TlsIdentity> set_;  // the identity set in the easy handle
  std::array<char, CURL_ERROR_SIZE> detail_{};
  std::string header_text_;
  std::vector<std::size_t> header_offsets_;
  std::vector<curl_slist> header_list_;
  std::string pin_;
  curl_slist pin_list_{};
};

}  // namespace outboxd
