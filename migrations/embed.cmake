# cmake -DOUTPUT=x.cpp -DSYMBOL=name "-DFILES=a;b" -P embed.cmake
# Writes the files as string constants: outboxd::embedded::<SYMBOL>(), see embedded.h.
set(text "#include \"migrations/embedded.h\"\n\nnamespace outboxd::embedded {\n\n")
string(APPEND text "std::span<const File> ${SYMBOL}() {\n  static const File files[] = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  # A compiler need not take a literal beyond 64 KiB: one string a 4 KiB chunk, joined by the compiler.
  string(REGEX REPLACE "(................................................................................)" "\\1\"\n\"" bytes "${bytes}")
  string(LENGTH "${hex}" digits)
  math(EXPR length "${digits} / 2")
  string(APPEND text "      {\"${name}\", std::string_view(\"${bytes}\", ${length})},\n")
endforeach()
string(APPEND text "  };\n  return files;\n}\n\n}  // namespace outboxd::embedded\n")
file(WRITE ${OUTPUT} "${text}")
