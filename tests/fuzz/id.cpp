// Public ids: one textual form each, and a delivery's id is its key.
#include "common/id.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

template <class Id>
int read(std::string_view text) {
  const auto id = Id::parse(text);
  if (!id) return 0;
  HOLDS(id->to_string() == text);
  return 1;
}

}  // namespace

FUZZ_TARGET(input) {
  HOLDS(read<EventId>(input) + read<EndpointId>(input) + read<AttemptId>(input) + read<BatchId>(input) +
            read<DeliveryId>(input) <=
        1);
  if (const auto id = DeliveryId::parse(input)) {
    const auto key = delivery_key(*id);
    HOLDS(key.event >= 0 && key.endpoint >= 0);
    // Of the ids that give this key one is the delivery's; the others name nothing (api/deliveries.cpp).
    const auto made = delivery_id(key, id->uuid.time());
    HOLDS(delivery_key(made) == key && delivery_id(delivery_key(made), made.uuid.time()) == made);
  }
}
