// What every command is given: the parsed global options, the API, and where to print. Data goes to stdout, messages to
// stderr.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctl/api_client.h"
#include "ctl/database_tools.h"
#include "ctl/output.h"

namespace outboxd::ctl {

struct GlobalOptions {
  std::optional<std::string> socket, url, token_file, ca_file;
  std::string format = "table";
  std::string color = "auto";
  bool quiet = false;
};

class Session {
 public:
  Session(const GlobalOptions& options, const DatabaseTools& database) : tools(database), options_(options) {}

  const DatabaseTools& tools;

  // What the chosen command does, set while parsing and run afterwards. Returns the exit status.
  std::function<int()> action;

  // Connects when first called. Throws Failure (usage) for options that contradict each other or name nothing usable.
  ApiClient& api();
  Style style() const;
  Format format() const;
  bool prints_json() const { return format() == Format::kJson || format() == Format::kJsonl; }
  bool prints_table() const { return format() == Format::kTable || format() == Format::kWide; }
  bool quiet() const { return options_.quiet; }

  void print(const std::string& text) const;    // data; throws Failure if it cannot be written
  void note(const std::string& message) const;  // a line on stderr, unless --quiet
  void warn(const std::string& message) const;  // a line on stderr in any case
  // Prints one JSON object: as JSON, as its id, or as `fields`.
  void print_object(const Json& object, const Fields& fields, const std::string& id_member = "id") const;
  // For what can be shown only once. require_stdout(), called before anything is done, throws Failure if there is no
  // stdout at all. If `print` cannot write, print_once() throws a Failure that ends with `consolation`: what was done,
  // and how to get at it.
  static void require_stdout();
  static void print_once(const std::function<void()>& print, const std::string& consolation);
  void print_rows(const std::vector<Column>& columns, const std::vector<Json>& rows,
                  const Json& next_cursor = nullptr, const std::string& id_member = "id") const;
  // Asks on the terminal. Without a terminal, throws a Failure (usage) that asks for --yes.
  bool confirm(const std::string& question) const;
  static bool can_ask();
  bool shows_progress() const;

 private:
  const GlobalOptions& options_;
  std::unique_ptr<ApiClient> api_;
};

}  // namespace outboxd::ctl
