#include "config/store_url.h"

#include <doctest/doctest.h>

using namespace outboxd::config;

TEST_CASE("URLs of PostgreSQL are taken as libpq writes them, without a password") {
  for (const char* url :
       {"postgresql://", "postgres://db.corp", "postgresql://outboxd@db.corp:5433/outboxd",
        "postgresql://a.corp,b.corp:5433/outboxd?sslmode=verify-full",
        "postgresql:///outboxd?host=/run/postgresql&user=outboxd&passfile=/etc/outboxd/pgpass",
        "postgresql://[::1]:5432/outboxd", "postgresql://?service=outboxd"}) {
    CAPTURE(url);
    CHECK(is_postgresql_url(url));
    CHECK_FALSE(holds_password(url));
    CHECK_FALSE(is_sqlite_url(url));
  }
  for (const char* url : {"postgresql:/db.corp", "postgresql", "mysql://db.corp", "postgresql://a b/", "",
                          "postgresql://a\n/", "sqlite:///a.db"}) {
    CAPTURE(url);
    CHECK_FALSE(is_postgresql_url(url));
  }
}

TEST_CASE("a password is found wherever libpq would find it") {
  for (const char* url :
       {"postgresql://outboxd:secret@db.corp/outboxd", "postgres://:secret@db.corp/",
        "postgresql://db.corp/outboxd?password=secret", "postgresql://db.corp/outboxd?user=u&password=secret",
        "postgresql://db.corp/outboxd?pass%77ord=secret", "postgresql://?sslpassword=secret",
        "postgresql://u:s?x@db.corp"}) {
    CAPTURE(url);
    CHECK(holds_password(url));
    CHECK_FALSE(is_postgresql_url(url));
  }
}
