# SPDX-License-Identifier: Apache-2.0
# vd_embed(TARGET FILE SYMBOL): compile FILE into TARGET as "const char SYMBOL[]", NUL-ended, and "const size_t SYMBOL_size".
function(vd_embed target file symbol)
  set(source ${CMAKE_BINARY_DIR}/embedded/${symbol}.c)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(READ ${CMAKE_SOURCE_DIR}/${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){24})" "\\1\n" bytes "${bytes}")
  set(text "#include <stddef.h>\nextern const char ${symbol}[];\nextern const size_t ${symbol}_size;\n")
  string(APPEND text "const char ${symbol}[] = {\n${bytes}0};\nconst size_t ${symbol}_size = sizeof ${symbol} - 1;\n")
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
  target_sources(${target} PRIVATE ${source})
endfunction()
