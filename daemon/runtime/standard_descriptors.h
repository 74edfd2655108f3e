// Descriptors 0 to 2, for a process that was started without them.
#pragma once

namespace outboxd {

// To be called first in main(). A free number would go to the next file opened, and output to stderr would end up in
// that file. So each closed one becomes /dev/null, opened in the wrong direction: the number is taken, but using it is
// still an error, as before.
void fill_standard_descriptors();

}  // namespace outboxd
