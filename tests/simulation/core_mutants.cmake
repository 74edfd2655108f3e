# Deliberate faults of the core, each built into a simulation of its own that must catch it.
#
#   core_mutant(NAME FILE ORIGINAL REPLACEMENT WHAT...)     FILE: in daemon; a core that WHAT
# Where one world of hundreds shows it, `first_seed` is where the search begins.
include(support/mutated_source.cmake)
function(core_mutant name file original replacement)
  outboxd_mutated_source(mutated core_${name} daemon/${file} "${original}" "${replacement}")
  set(sources ${mutated} $<TARGET_OBJECTS:core_router>)
  if(file MATCHES "fact_router")
    set(sources ${PROJECT_SOURCE_DIR}/daemon/app/fact_router.cpp)
  endif()
  if(file STREQUAL "app/fact_router.cpp")
    set(sources ${mutated})
  endif()
  set(target core_mutant_${name})
  add_executable(${target} ${sources} $<TARGET_OBJECTS:core_simulation>)
  target_link_libraries(${target} PRIVATE ${core_libraries} migrations)
  target_compile_options(${target} PRIVATE -w -g0)  # a fault may leave a variable unused
  target_link_options(${target} PRIVATE -s)         # nobody debugs it, and linking its symbols takes seconds
  target_include_directories(${target} BEFORE PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/mutants/core_${name}/daemon)
  add_test(NAME "simulation: catches a core that ${ARGN}" COMMAND ${target} --first ${first_seed} --seconds 150 --expect-violation)
  set_tests_properties("simulation: catches a core that ${ARGN}" PROPERTIES TIMEOUT 180 LABELS mutants)
endfunction()

set(first_seed 1)

# The router's table, line by line.
core_mutant(deaf_to_ready app/fact_router.h "hear(const DeliveryReady&) { return kDeliveryToo; }"
            "hear(const DeliveryReady&) { return kOthersOnly; }" "does not tell delivery of fresh deliveries")
core_mutant(deaf_to_due app/fact_router.h "hear(const DueOnDisk&) { return kDeliveryToo; }" "hear(const DueOnDisk&) { return kOthersOnly; }"
            "does not tell delivery of what is due on disk")
core_mutant(deaf_to_withdrawn app/fact_router.h "hear(const DeliveryWithdrawn&) { return kDeliveryToo; }"
            "hear(const DeliveryWithdrawn&) { return kOthersOnly; }" "does not tell delivery of what is not to be sent any more")
core_mutant(deaf_to_outcomes app/fact_router.h "tell(fact, to_.attempts, to_.operational_events), kDeliveryToo"
            "tell(fact, to_.attempts, to_.operational_events), kOthersOnly" "does not tell delivery of recorded outcomes")
core_mutant(deaf_to_changes app/fact_router.h
            "tell(fact, to_.operational_events, to_.removed_endpoints), kDeliveryToo"
            "tell(fact, to_.operational_events, to_.removed_endpoints), kOthersOnly"
            "does not tell delivery of changed endpoints")
core_mutant(directory_not_told app/fact_router.h "    if (!to_.directory.hear(fact)) return kOthersOnly;" ""
            "does not tell the directory of changed endpoints")
core_mutant(sweeper_not_told app/fact_router.h "to_.operational_events, to_.removed_endpoints)" "to_.operational_events)"
            "does not tell the sweeper of removed endpoints")
core_mutant(fan_out_not_told app/fact_router.h "tell(fact, to_.fan_out), kOthersOnly" "kOthersOnly" "does not tell the fan-out of events")
core_mutant(outbox_not_told app/fact_router.h "tell(fact, to_.outbox), kOthersOnly" "kOthersOnly" "does not tell the outbox of rows")
core_mutant(batches_not_told app/fact_router.h "tell(fact, to_.operational_events, to_.batches)" "tell(fact, to_.operational_events)"
            "does not tell the runner of new batches")
core_mutant(no_batches_at_start app/fact_router.cpp "    to_.batches.start();" "" "does not go on with batches when it starts")
core_mutant(no_sweep_at_start app/fact_router.cpp "    to_.removed_endpoints.start();" "" "does not sweep when it starts")
core_mutant(no_fan_out_at_start app/fact_router.cpp "    to_.fan_out.start();" "" "does not go on with fan-outs when it starts")

# Partitions.
core_mutant(never_leaves delivery/delivery_engine.cpp "      drop_endpoint(seq, false);" "" "goes on sending for partitions that it has lost")
core_mutant(never_begins delivery/delivery_engine.cpp "    for (const EndpointPtr& endpoint : endpoints_of_(partitions)) put_endpoint(endpoint);"
            "" "does not begin to send for partitions that it owns")

# Commits, answers and facts.
core_mutant(answers_first store/group_commit.cpp
            "  if (hear && !applied.facts.empty()) hear(std::move(applied.facts));\n  complete(std::exchange(batch, {}), std::move(applied.answers));"
            "  complete(std::exchange(batch, {}), std::move(applied.answers));\n  if (hear && !applied.facts.empty()) hear(std::move(applied.facts));"
            "answers before it tells")
core_mutant(repeats_blindly store/group_commit.cpp "commands, owner, uncertain}" "commands, owner, false}" "does not say that a batch is a repeat")
core_mutant(refuses_what_is_kept store/group_commit.cpp "|| !(item.traits.refusable || stopping)) return;" ") return;"
            "refuses what only memory knows")
core_mutant(tells_what_was_undone store/sqlite/transaction.cpp "  facts_.clear();" "" "tells facts of a transaction that was undone")
core_mutant(counts_what_was_undone store/sqlite/transaction.cpp "  counters_ = committed_;\n  directory_" "  directory_"
            "counts what a transaction did that was undone")
core_mutant(refuses_the_batch store/sqlite/writer.cpp "    refused[at] = Problem{" "    for (auto& one : refused) one = Problem{"
            "refuses a batch for one bad command")
core_mutant(heeds_no_change store/sqlite/endpoint_writer.cpp "    if (endpoint->updated_at != command.if_updated_at) return changed_meanwhile();" ""
            "disables an endpoint for what its former receiver answered")
core_mutant(never_disables delivery/delivery_engine.cpp "  if (ended.disable) disable(delivery.key.endpoint, std::move(*ended.disable));" ""
            "does not disable an endpoint that is gone")
core_mutant(never_stale store/sqlite/directory_changes.cpp "    if (is_named(removal->endpoint)) return true;" "" "stores for a removed endpoint")

# Batches and erasures.
core_mutant(acts_upon_changes store/sqlite/operator_writer.cpp
            "if (stored ? changed_since(batch, key) : !acts_on_events(batch.action)) return false;"
            "if (!stored && !acts_on_events(batch.action)) return false;" "acts upon what has changed since the batch was made")
core_mutant(outlives_cancellation store/sqlite/batch_writer.cpp
            "if (batch.state != BatchState::kRunning || batch.place != step.from) {" "if (batch.place != step.from) {"
            "carries out a step of a batch that was cancelled")
core_mutant(ends_batches_early maintenance/batches.cpp "  step->last = !found.next;" "  step->last = true;"
            "ends a batch after its first step")
core_mutant(retries_erased store/sqlite/operator_writer.cpp "if (!ordering || !event || event->payload_erased_at) return false;"
            "if (!ordering || !event) return false;" "retries what was erased")
core_mutant(sends_erased delivery/retry_policy.cpp "} else if (delivery.event->erased) {" "} else if (false) {"
            "sends an event without its erased payload")
core_mutant(prunes_pending_payloads store/sqlite/payload_pruner.cpp
            "if (read_state(row.view(1)) == DeliveryState::kPending) return true;" "" "takes the payload of what is pending")
core_mutant(counts_types_again store/sqlite/event_type_writer.cpp "  set_place_.run(counted, rows);" ""
            "counts the same events by their types again and again")

# Ingest and fan-out.
core_mutant(matches_once ingest/fan_out.cpp "bool again = answer && answer->stale;" "bool again = false;" "drops a fan-out whose matches are stale")
core_mutant(remembers_matches ingest/endpoint_directory.cpp "it->second.changes == changes_" "true" "believes what matched before an endpoint changed")
core_mutant(sweeps_once maintenance/removed_endpoints.cpp "if (!discarded) return try_later(discarded.error());"
            "if (!discarded) { sweeping_ = false; return; }" "gives up a sweep that was refused")

# Delivery.
core_mutant(loses_retries delivery/scheduler.cpp "  if (fact.due_in) leave_on_disk(*lane, in(*fact.due_in, now));" "" "loses when a delivery is due again")
set(first_seed 101)
core_mutant(believes_old_reads delivery/scheduler.cpp "  if (lane.fetch) lane.fetch->released.insert(event);" ""
            "believes a read of the backlog that was made before a commit")
set(first_seed 1)
core_mutant(believes_old_backlog delivery/scheduler.cpp "    lane->fetch->released.insert(key.event);" ""
            "believes a read of the backlog that was made before a delivery was withdrawn")
