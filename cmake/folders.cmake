# SPDX-License-Identifier: Apache-2.0
# vd_folder(NAME LIBS...): library vd_NAME from every NAME/*.c but main.c. Includes start at the project root.
function(vd_folder name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources)
    add_library(vd_${name} INTERFACE)
    target_link_libraries(vd_${name} INTERFACE ${ARGN})
    return()
  endif()
  add_library(vd_${name} STATIC ${sources})
  target_include_directories(vd_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(vd_${name} PUBLIC ${ARGN})
endfunction()
