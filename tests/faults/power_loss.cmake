# The power-loss proof, and the same program with stores that break its promise.
include(support/mutated_source.cmake)

add_library(power_loss_objects OBJECT faults/power_loss.cpp faults/power_loss_disk.cpp faults/power_loss_workload.cpp
  faults/recording_vfs.cpp)
target_link_libraries(power_loss_objects PRIVATE store_sqlite PkgConfig::SQLITE3)
target_include_directories(power_loss_objects PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
add_executable(power_loss $<TARGET_OBJECTS:power_loss_objects>)
target_link_libraries(power_loss PRIVATE store_sqlite PkgConfig::SQLITE3)

function(weakened_store name file original replacement)
  outboxd_mutated_source(weakened power_loss_${name} daemon/store/sqlite/${file} "${original}" "${replacement}")
  add_executable(power_loss_${name} ${weakened} $<TARGET_OBJECTS:power_loss_objects>)
  target_link_libraries(power_loss_${name} PRIVATE store_sqlite PkgConfig::SQLITE3)
  target_compile_options(power_loss_${name} PRIVATE -w)  # a fault may leave a variable unused
endfunction()

weakened_store(normal database.cpp "PRAGMA synchronous=FULL" "PRAGMA synchronous=NORMAL")
weakened_store(off database.cpp "PRAGMA synchronous=FULL" "PRAGMA synchronous=OFF")
weakened_store(goes_on writer.cpp "  if (failed_)\n    throw StoreError(" "  if (false)\n    throw StoreError(")
