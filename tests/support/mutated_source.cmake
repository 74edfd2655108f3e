# A deliberate fault for a test that must catch it: a copy of one of the daemon's sources with one line replaced. The sources
# themselves carry no trace of it; a line that is not there exactly once stops the configuration.
#
#   outboxd_mutated_source(VARIABLE NAME FILE ORIGINAL REPLACEMENT)     FILE: from the top folder; sets VARIABLE to the copy's path
function(outboxd_mutated_source variable name file original replacement)
  set(source ${PROJECT_SOURCE_DIR}/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  string(FIND "${text}" "${original}" first)
  string(FIND "${text}" "${original}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "mutant ${name}: \"${original}\" does not stand exactly once in ${file}")
  endif()
  string(REPLACE "${original}" "${replacement}" text "${text}")
  set(mutated ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}/${file})
  file(CONFIGURE OUTPUT ${mutated} CONTENT "${text}" @ONLY)
  set(${variable} ${mutated} PARENT_SCOPE)
endfunction()
