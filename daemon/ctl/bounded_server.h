// A server of the httplib library that whoever may connect can neither hold up for long nor fill the memory of: the library
// alone waits for a head for as long as a byte comes now and then, and keeps all of it. One request a connection, because
// the library reads the body of a GET as the next request.
#pragma once

#include <httplib.h>

namespace outboxd::ctl {

inline constexpr std::size_t kMaxHeadBytes = 64u << 10;
// For the whole head; then for each piece of a body, and for each piece of the answer to be taken.
inline constexpr int kPatienceSeconds = 5;

class BoundedServer : public httplib::Server {
 private:
  bool process_and_close_socket(socket_t socket) override;
};

}  // namespace outboxd::ctl
