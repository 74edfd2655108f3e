# Deliberate faults of the scheduler, each built into a simulation of its own that must catch it.
#
#   mutant(NAME FILE ORIGINAL REPLACEMENT WHAT...)     FILE: in daemon/delivery; a scheduler that WHAT
include(support/mutated_source.cmake)
function(mutant name file original replacement)
  outboxd_mutated_source(mutated ${name} daemon/delivery/${file} "${original}" "${replacement}")
  add_executable(mutant_${name} ${mutated} $<TARGET_OBJECTS:simulation>)
  target_link_libraries(mutant_${name} PRIVATE delivery)
  target_compile_options(mutant_${name} PRIVATE -w -g0)  # a fault may leave a variable unused
  target_include_directories(mutant_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  add_test(NAME "simulation: catches a scheduler that ${ARGN}" COMMAND mutant_${name} --seconds 60 --expect-violation)
  set_tests_properties("simulation: catches a scheduler that ${ARGN}" PROPERTIES TIMEOUT 120 LABELS mutants)
endfunction()

mutant(leaks_slots scheduler.cpp "  --sending_;" "" "forgets to free a slot")
mutant(loses_retries scheduler.cpp "  if (fact.due_in) leave_on_disk(*lane, in(*fact.due_in, now));" "" "forgets retries")
mutant(global_limit scheduler_turns.cpp "if (sending >= share_of(options_.max_in_flight, service_class)) break;"
       "if (sending > share_of(options_.max_in_flight, service_class)) break;" "exceeds the global limit by one")
mutant(no_shares scheduler_turns.cpp "if (sending >= share_of(options_.max_in_flight, service_class)) break;"
       "if (sending_ >= options_.max_in_flight) break;" "keeps no slots for prompt endpoints")
mutant(stale_fetch scheduler.cpp "  if (lane.fetch) lane.fetch->released.insert(event);" ""
       "believes a fetch that read before a commit")
mutant(overtakes scheduler_turns.cpp "  return !is_first;" "  return false;" "sends two of one sequence key at a time")
mutant(drops_arrivals scheduler.cpp "    lane->fetch->arrivals.push_back(std::move(delivery));" ""
       "drops what arrives during a fetch")
mutant(drops_window scheduler.cpp "  leave_on_disk(lane, kAtOnce);\n}\n\nvoid Scheduler::leave_on_disk" "}\n\nvoid Scheduler::leave_on_disk"
       "forgets what it dropped from memory")
mutant(forgets_next_in_order scheduler.cpp "  if (fact.promoted) leave_on_disk(*lane, kAtOnce);" ""
       "forgets what waited behind")
mutant(starves_low_priorities scheduler_turns.cpp "++lane.turns % kLowerEvery != 0" "true" "serves the highest priority only")
mutant(no_pace scheduler_turns.cpp "  if (lane.rate) lane.rate->take(now.mono);" "" "ignores the rate limit")
mutant(sleeps_in scheduler_turns.cpp "  for (auto it = wakes_.begin(); it != wakes_.end() && it->first <= now; ++it) touch(*find(it->second));" "" "does not wake after a pause")
mutant(endpoint_limit endpoint_health.cpp "sending < configured : sending < limit(configured);" "sending < configured : sending <= limit(configured);"
       "exceeds an endpoint's limit by one")
mutant(impatient endpoint_health.cpp "paused_until_ = std::max(paused_until_, now.mono + *attempted.asked);" "" "ignores Retry-After")
mutant(many_probes endpoint_health.cpp "  probing_ = true;" "" "probes with many requests at a time")
mutant(too_many_attempts retry_policy.cpp "facts.attempts_made >= static_cast<int>(schedule.size())"
       "facts.attempts_made > static_cast<int>(schedule.size())" "attempts once more than the schedule says")
mutant(never_skips retry_policy.cpp "  if (facts.skip_on_failure) {" "  if (facts.skip_on_failure && now.time_since_epoch().count() < 0) {"
       "never skips")
mutant(never_rescans scheduler.cpp "  for (auto& [seq, lane] : lanes_) {\n    leave_on_disk(*lane, kAtOnce);" "  for (auto& [seq, lane] : lanes_) {"
       "does not look at the disk when the clock jumped")
mutant(too_early retry_policy.cpp "deliver_at && *deliver_at > now" "false" "sends before deliver_at")
mutant(sends_expired retry_policy.cpp "delivery.expires_at && *delivery.expires_at <= now" "false" "sends what has expired")
mutant(outlives_expiry scheduler_turns.cpp "  decisions.find_expired = {search_.after, options_.max_expired};" ""
       "finds what has expired only when it is about to send it")
mutant(expires_in_flight scheduler.cpp "      if (held.stage != Stage::kWaiting) continue;" "" "expires what is being sent")
mutant(expires_finished scheduler.cpp " || search_.released.contains(key)" "" "expires what has ended meanwhile")
mutant(pauses_for_each_503 endpoint_health.cpp "(attempted.slow_down && trouble_ >= kOverloaded)" "attempted.slow_down"
       "pauses a lane for every 503")
mutant(halves_for_each_500 endpoint_health.cpp "congestion_window_ * (1 - trouble_ / 2)" "congestion_window_ / 2"
       "halves the window for every failure")
mutant(heeds_former_receivers scheduler.cpp "  if (!former) change = learn" "  change = learn" "learns from a URL that is the endpoint's no more")
mutant(gone_by_hearsay scheduler.cpp ".by_former_receiver = former}" ".by_former_receiver = false}" "takes a former URL's 410 for the endpoint's")
mutant(blocked_is_exhausted retry_policy.cpp "facts.outcome == Outcome::kBlocked ? DeadReason::kBlocked : DeadReason::kExhausted"
       "DeadReason::kExhausted" "does not say that the policy refused the last attempt")
