// The name servers that subscribers' names are looked up with, for display.
#pragma once

#include <string>
#include <vector>

namespace outboxd {

// `configured` is as Resolver::Options::servers; "" means those of resolv.conf as it is now. Each entry is
// "127.0.0.53:53" or "[::1]:53"; the result is empty if c-ares cannot say.
std::vector<std::string> name_servers_in_use(const std::string& configured);

}  // namespace outboxd
