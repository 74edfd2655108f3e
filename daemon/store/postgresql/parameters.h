// Parameters of a statement in the binary form of the protocol. What is sent follows from the C++ type: integers are
// bigint, texts text, Bytes bytea, Uuid uuid, bool boolean; a std::vector of one of these, or of optional ones, is an array.
#pragma once

#include <postgres_ext.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/id.h"
#include "common/time.h"

namespace outboxd::postgresql {

// Bytes as bytea; a plain std::string_view is text.
struct Bytes {
  std::string_view bytes;
};
inline std::int64_t millis(Time t) {
  return unix_millis(t);
}
inline std::optional<std::int64_t> millis(const std::optional<Time>& t) {
  return t ? std::optional(unix_millis(*t)) : std::nullopt;
}

// Parameters in the binary form of the protocol.
class Parameters {
 public:
  template <class... Args>
  explicit Parameters(const Args&... args) {
    (add(args), ...);
  }
  int count() const { return static_cast<int>(types_.size()); }
  const Oid* types() const { return types_.data(); }
  // As PQsendQueryPrepared takes them; valid as long as this object lives and is not moved.
  struct Wire {
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
  };
  Wire wire() const;

 private:
  static constexpr std::ptrdiff_t kNull = -1;

  // How each C++ type is encoded: its OID, that of the array, and how its bytes are appended.
  template <class T>
  struct Encoding;

  template <class T>
  void add(const T& value);
  template <class T>
  void add(const std::optional<T>& value);
  template <class T>
  void add(const std::vector<T>& values);
  void begin(Oid type) {
    types_.push_back(type);
    starts_.push_back(static_cast<std::ptrdiff_t>(buffer_.size()));
  }
  void put_int32(std::int32_t v);
  template <class T>
  void put_element(const T& value);
  template <class T>
  void put_element(const std::optional<T>& value);

  std::string buffer_;
  std::vector<Oid> types_;
  std::vector<std::ptrdiff_t> starts_;  // in buffer_; kNull: NULL
};

template <>
struct Parameters::Encoding<std::int64_t> {
  static constexpr Oid kType = 20, kArray = 1016;
  static void append(std::string& to, std::int64_t v);
};
template <>
struct Parameters::Encoding<std::string_view> {
  static constexpr Oid kType = 25, kArray = 1009;
  static void append(std::string& to, std::string_view v) { to.append(v); }
};
template <>
struct Parameters::Encoding<Bytes> {
  static constexpr Oid kType = 17, kArray = 1001;
  static void append(std::string& to, Bytes v) { to.append(v.bytes); }
};
template <>
struct Parameters::Encoding<Uuid> {
  static constexpr Oid kType = 2950, kArray = 2951;
  static void append(std::string& to, const Uuid& v) {
    to.append(reinterpret_cast<const char*>(v.bytes.data()), v.bytes.size());
  }
};
template <>
struct Parameters::Encoding<bool> {
  static constexpr Oid kType = 16, kArray = 1000;
  static void append(std::string& to, bool v) { to.push_back(v ? '\1' : '\0'); }
};
// Everything else is one of these.
template <>
struct Parameters::Encoding<int> : Parameters::Encoding<std::int64_t> {};
template <>
struct Parameters::Encoding<std::string> : Parameters::Encoding<std::string_view> {};
template <>
struct Parameters::Encoding<const char*> : Parameters::Encoding<std::string_view> {};
template <>
struct Parameters::Encoding<char*> : Parameters::Encoding<std::string_view> {};  // what a literal decays to

template <class T>
void Parameters::add(const T& value) {
  using E = Encoding<std::decay_t<T>>;
  begin(E::kType);
  E::append(buffer_, value);
}
template <class T>
void Parameters::add(const std::optional<T>& value) {
  if (value) return add(*value);
  types_.push_back(Encoding<T>::kType);
  starts_.push_back(kNull);
}
template <class T>
void Parameters::put_element(const T& value) {
  const std::size_t length_at = buffer_.size();
  put_int32(0);
  const std::size_t from = buffer_.size();
  Encoding<T>::append(buffer_, value);
  const auto length = static_cast<std::uint32_t>(buffer_.size() - from);
  for (int i = 0; i < 4; ++i) buffer_[length_at + i] = static_cast<char>(length >> (24 - 8 * i) & 0xff);
}
template <class T>
void Parameters::put_element(const std::optional<T>& value) {
  value ? put_element(*value) : put_int32(-1);
}

template <class T>
struct ElementOf {  // of an array
  using Type = T;
};
template <class T>
struct ElementOf<std::optional<T>> {
  using Type = T;
};

// ndim, flags (has nulls), element type, length, lower bound, then each element behind its length (pg_type's array_recv).
template <class T>
void Parameters::add(const std::vector<T>& values) {
  using E = Encoding<typename ElementOf<T>::Type>;
  begin(E::kArray);
  put_int32(values.empty() ? 0 : 1);
  put_int32(1);
  put_int32(static_cast<std::int32_t>(E::kType));
  if (values.empty()) return;
  put_int32(static_cast<std::int32_t>(values.size()));
  put_int32(1);
  for (const T& value : values) put_element(value);
}

}  // namespace outboxd::postgresql
