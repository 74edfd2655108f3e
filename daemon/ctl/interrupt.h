// Ctrl-C and SIGTERM for the commands that run until they come. Those exit with status 0, because that is how they are
// meant to end.
#pragma once

#include "common/time.h"

namespace outboxd::ctl {

// Blocks both signals in this thread and in the threads it starts from now on. Call it before starting any.
void hold_interrupts();
// Waits for one of them, for at most `timeout`. True: one came.
bool wait_for_interrupt(Millis timeout);
// Can be read once one of them has come, until wait_for_interrupt() has taken note of it. Open for as long as the program
// runs.
int interrupt_fd();
void wait_for_interrupt();

}  // namespace outboxd::ctl
