#include "store/postgresql/parameters.h"

#include <stdexcept>

namespace outboxd::postgresql {

void Parameters::Encoding<std::int64_t>::append(std::string& to, std::int64_t v) {
  const auto bits = static_cast<std::uint64_t>(v);
  for (int shift = 56; shift >= 0; shift -= 8) to.push_back(static_cast<char>(bits >> shift & 0xff));
}

void Parameters::put_int32(std::int32_t v) {
  const auto bits = static_cast<std::uint32_t>(v);
  for (int shift = 24; shift >= 0; shift -= 8) buffer_.push_back(static_cast<char>(bits >> shift & 0xff));
}

Parameters::Wire Parameters::wire() const {
  Wire wire;
  wire.values.reserve(types_.size());
  wire.lengths.reserve(types_.size());
  wire.formats.assign(types_.size(), 1);
  std::ptrdiff_t end = static_cast<std::ptrdiff_t>(buffer_.size());
  for (std::size_t i = types_.size(); i-- > 0;) {
    const std::ptrdiff_t start = starts_[i];
    const bool null = start == kNull;
    wire.values.insert(wire.values.begin(), null ? nullptr : buffer_.data() + start);
    wire.lengths.insert(wire.lengths.begin(), null ? 0 : static_cast<int>(end - start));
    if (!null) end = start;
  }
  return wire;
}

}  // namespace outboxd::postgresql
