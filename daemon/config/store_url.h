// The forms of [store] url and [[source]] url. Pure.
#pragma once

#include <string_view>

namespace outboxd::config {

bool is_sqlite_url(std::string_view url);  // sqlite:// and the absolute path of a file
bool is_postgresql_url(
    std::string_view url);  // as libpq reads it, which says what else is wrong; without a password
// Of a PostgreSQL URL: whether it names a secret anywhere, so that it must not be shown.
bool holds_password(std::string_view url);
inline constexpr std::string_view kHoldsPassword =
    "holds a password, which would be shown to whoever asks; put it into a file (passfile= in the URL, "
    "~/.pgpass, a service file)";

}  // namespace outboxd::config
