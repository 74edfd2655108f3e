#include "ctl/run.h"

int main(int argc, char** argv) {
  return outboxd::ctl::run(argc, argv);
}
