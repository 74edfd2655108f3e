// Which name servers subscribers' names are looked up with, for people to see.
#pragma once

#include <string>
#include <vector>

namespace outboxd {

// `configured` as Resolver::Options::servers; "": those of resolv.conf as it is now. Each "127.0.0.53:53" or
// "[::1]:53"; empty when c-ares cannot say.
std::vector<std::string> name_servers_in_use(const std::string& configured);

}  // namespace outboxd
