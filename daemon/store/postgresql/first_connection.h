// The first connection that a process makes: where it shows whether what was configured can work at all. libpq tells what
// fails while connecting in words alone, which are the server's and in its language; so it is asked once more for the long
// form, which has the code.
#pragma once

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

// As Connection(options). Throws StoreError: kCannotOpen, with a sentence that says what to do, for what only somebody who
// administers the server or the configuration can change (a wrong password, no such role or database, a role that may not
// connect); kBusy for all that may pass by itself: a server that cannot be reached, starts, or takes no writes at the
// moment. Of the latter too it is said what it is.
Connection first_connection(const ConnectionOptions& options);

// The SQLSTATE in the long form of a message of libpq: the last one in it, for of several hosts the last one decides; ""
// if there is none, as in messages of libpq's own.
std::string_view sqlstate_in(std::string_view verbose_message);

}  // namespace outboxd::postgresql
