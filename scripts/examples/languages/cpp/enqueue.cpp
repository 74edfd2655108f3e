// Hands an event to outboxd, in each of its three ways. C++20, libcurl, SQLite.
//   g++ -std=c++20 enqueue.cpp -o enqueue -lcurl -lsqlite3
//   ./enqueue http http://127.0.0.1:8877 42
//   ./enqueue unix /run/outboxd/ingest.sock 42
//   ./enqueue sql app.db 42
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <curl/curl.h>
#include <sqlite3.h>

namespace {

std::string payload(std::int64_t order) {
  return R"({"order": )" + std::to_string(order) + R"(, "cents": 1250})";
}

std::size_t append(char* bytes, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(bytes, size * count);
  return size * count;
}

// Returns the answer when the event is on disk. No answer? Send the same again: its key makes that
// safe. `socket`: a Unix socket, or "" for TCP.
std::string enqueue(const std::string& base, const std::string& socket, const std::string& event) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
  std::string answer;
  curl_easy_setopt(curl.get(), CURLOPT_URL, (base + "/v1/events").c_str());
  if (!socket.empty()) curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(event.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, event.data());
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
    throw std::runtime_error(curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 202 && status != 200) {
    throw std::runtime_error("outboxd answered " + std::to_string(status) + ": " + answer);
  }
  return answer;
}

void run(sqlite3* db, const char* sql, std::int64_t order, const std::string& text) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
  if (code == SQLITE_OK) {
    // A statement that has no such parameter says so, and needs none.
    sqlite3_bind_int64(statement, sqlite3_bind_parameter_index(statement, ":order"), order);
    sqlite3_bind_text(statement, sqlite3_bind_parameter_index(statement, ":payload"), text.c_str(),
                      -1, SQLITE_TRANSIENT);
    code = sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(db));
}

// The event exists exactly if the order is paid: one transaction.
void pay_order(const std::string& database, std::int64_t order) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(database.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  // Closing it rolls back what was not committed.
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> db(opened, sqlite3_close);
  if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(opened));
  sqlite3_busy_timeout(db.get(), 5000);
  for (const char* sql :
       {"BEGIN IMMEDIATE", "UPDATE orders SET state = 'paid' WHERE id = :order",
        "INSERT INTO outbox(type, payload) VALUES ('order.paid', :payload)", "COMMIT"}) {
    run(db.get(), sql, order, payload(order));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: enqueue http URL ORDER | unix SOCKET ORDER | sql DATABASE ORDER\n";
    return 2;
  }
  try {
    const std::string way = argv[1], where = argv[2];
    const std::int64_t order = std::stoll(argv[3]);
    const std::string event = R"({"type": "order.paid", "payload": )" + payload(order) +
                              R"(, "idempotency_key": "order-)" + std::to_string(order) +
                              R"(-paid"})";
    if (way == "http") std::cout << enqueue(where, "", event) << '\n';
    if (way == "unix") std::cout << enqueue("http://localhost", where, event) << '\n';
    if (way == "sql") pay_order(where, order);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
