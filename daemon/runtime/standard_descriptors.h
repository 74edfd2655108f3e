// Descriptors 0 to 2 of a process that was started without them.
#pragma once

namespace outboxd {

// The first call of a main. A number that is free would be given to the next file that is opened, and what is written to
// stderr would go into that: so each that is closed becomes /dev/null, opened the wrong way round. It is taken, and to use it
// is as much of an error as before.
void fill_standard_descriptors();

}  // namespace outboxd
