// Ctrl-C and SIGTERM for the commands that go on until then: they end with status 0, for that is how they are
// meant to end.
#pragma once

#include "common/time.h"

namespace outboxd::ctl {

// Blocks both signals in this thread and those it starts from now on. Call it before starting any.
void hold_interrupts();
// Waits for one of them, at most so long. True: one came.
bool wait_for_interrupt(Millis timeout);
void wait_for_interrupt();

}  // namespace outboxd::ctl
