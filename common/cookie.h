// The Cookie header (RFC 6265, 4.2). Pure.
#pragma once

#include <optional>
#include <string_view>

namespace outboxd {

// The value of the first cookie of this name in `header`, a view into it, without the quotes that may stand around it;
// nullopt when there is none. Names are compared byte for byte. A pair that is malformed, or whose value holds a byte that no
// cookie may hold, is passed over. Linear in the length of the header, which the limits of a request's head bound.
std::optional<std::string_view> cookie_value(std::string_view header, std::string_view name);

// Does `header` have two cookies of this name with different values?
bool has_two_values(std::string_view header, std::string_view name);

// May `text`, not empty, be a cookie's value as it is (cookie-octets of RFC 6265, 4.1.1)?
bool is_cookie_value(std::string_view text);

}  // namespace outboxd
