#include "common/event_checksum.h"

#include <array>

#include "common/text.h"

namespace outboxd {
namespace {

// The bytes hashed before the payload. Numbers take 8 bytes, big-endian; text follows its length; an absent value has
// the length -1. The encoding is unambiguous: no two events give the same bytes.
class Fields {
 public:
  explicit Fields(std::size_t expected) { bytes_.reserve(expected); }

  void number(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    const std::array<char, 8> big_endian{static_cast<char>(bits >> 56), static_cast<char>(bits >> 48),
                                         static_cast<char>(bits >> 40), static_cast<char>(bits >> 32),
                                         static_cast<char>(bits >> 24), static_cast<char>(bits >> 16),
                                         static_cast<char>(bits >> 8),  static_cast<char>(bits)};
    bytes_.append(big_endian.data(), big_endian.size());
  }
  void text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_ += value;
  }
  void optional_text(const std::optional<std::string>& value) { value ? text(*value) : number(-1); }
  void time(const std::optional<Time>& value) {
    number(value ? 8 : -1);
    if (value) number(unix_millis(*value));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

constexpr std::size_t kUsualSize = 384;

}  // namespace

std::int64_t event_checksum(const Event& event, EventSeq seq) {
  Fields fields(kUsualSize);
  fields.number(seq);
  fields.text(std::string_view(reinterpret_cast<const char*>(event.id.uuid.bytes.data()),
                               event.id.uuid.bytes.size()));
  fields.text(event.tenant);
  fields.text(event.type);
  fields.text(event.content_type);
  fields.optional_text(event.ordering_key);
  fields.number(event.priority);
  fields.number(static_cast<std::int64_t>(event.headers.size()));
  for (const HeaderField& header : event.headers) {
    fields.text(header.name);
    fields.text(header.value);
  }
  fields.optional_text(event.traceparent);
  fields.time(event.created_at);
  fields.time(event.deliver_at);
  fields.time(event.expires_at);
  // Only if there is one, so that the checksums of all other events stay what they were. Without it the next number is the
  // payload's size, and as many bytes end the text: no event with one gives the same.
  if (event.cloud_event) fields.text(*event.cloud_event);
  fields.number(static_cast<std::int64_t>(event.payload.size()));
  const std::string digest = sha256(fields.bytes(), event.payload);
  std::uint64_t checksum = 0;
  for (std::size_t i = 0; i < sizeof checksum; ++i)
    checksum = checksum << 8 | static_cast<unsigned char>(digest[i]);
  return static_cast<std::int64_t>(checksum);
}

}  // namespace outboxd
