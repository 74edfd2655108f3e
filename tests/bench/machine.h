// What the figures were measured on, and how much of that was taken away meanwhile.
#pragma once

#include <chrono>
#include <filesystem>

#include "bench/report.h"

namespace outboxd::bench {

Json machine(const std::filesystem::path& folder);  // on whose disk the databases are
// What a hypervisor gave to others while this machine wanted to run, of all cores since it was started.
std::chrono::milliseconds stolen();

}  // namespace outboxd::bench
