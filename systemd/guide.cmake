# cmake -DGUIDE=producers.md -DOUTPUT=outboxd-producers.7 -DVERSION=1.0.0 -DDOCDIR=/usr/share/doc/outboxd -DLOWDOWN=lowdown -P guide.cmake
# A guide as a manual page: its title becomes NAME, and a link names the manual page that says the same.
get_filename_component(page ${OUTPUT} NAME_WE)
file(READ ${GUIDE} text)
string(REGEX REPLACE "^# ([^:\n]*: )?([^\n]*)\n" "# NAME\n\n${page} - \\2\n\n# DESCRIPTION\n" text "${text}")
string(REPLACE "\n## " "\n# " text "${text}")
string(REGEX REPLACE "<!-- file: [^>]*>\n" "" text "${text}")
string(REGEX REPLACE "\\[([^]]*)\\]\\(#[^)]*\\)" "\\1" text "${text}")
string(REGEX REPLACE "\\[([^]]*)\\]\\(\\.\\./config/README\\.md[^)]*\\)" "\\1 (**outboxd.toml**(5))" text "${text}")
string(REGEX REPLACE "\\[([^]]*)\\]\\(\\.\\./\\.\\./scripts/([^)]*)\\)" "\\1 (${DOCDIR}/\\2)" text "${text}")
string(REGEX REPLACE "\\[[a-z-]+\\.md\\]\\(([a-z-]+)\\.md[^)]*\\)" "**outboxd-\\1**(7)" text "${text}")
string(REGEX REPLACE "\\[([^]]*)\\]\\(([a-z-]+)\\.md[^)]*\\)" "\\1 (**outboxd-\\2**(7))" text "${text}")
string(APPEND text "\n# SEE ALSO\n\n**outboxd**(8), **outboxctl**(1), **outboxd.toml**(5)\n")
file(WRITE ${OUTPUT}.md "${text}")
execute_process(COMMAND ${LOWDOWN} -s -t man -M title=${page} -M section=7 -M "source=outboxd ${VERSION}" -M volume=Guides
  --out-no-smarty -o ${OUTPUT}.body ${OUTPUT}.md COMMAND_ERROR_IS_FATAL ANY)
file(READ ${OUTPUT}.body body)
string(REGEX REPLACE "\n(\\.TH [^\n]*)\n" "\n\\1\n.ad l\n" body "${body}")  # narrow columns of tables
file(WRITE ${OUTPUT} "'\\\" t\n${body}")
file(REMOVE ${OUTPUT}.md ${OUTPUT}.body)
