# SPDX-License-Identifier: Apache-2.0
# Compiler flags for every target: warnings always, errors in development, hardening in releases.
add_compile_definitions(
  _GNU_SOURCE
  _FILE_OFFSET_BITS=64
  VD_VERSION="${PROJECT_VERSION}"
  GLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74
  GLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_74)
add_compile_options(
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
  -Wformat=2 -Wundef -Wvla -Wno-missing-field-initializers -fno-common -fno-strict-aliasing)

if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wno-unused-variable) # it calls a scoped owner unused; gcc, which does not, checks the rest
endif()
if(VD_WERROR)
  add_compile_options(-Werror)
endif()
if(VD_SANITIZE)
  add_compile_options(-O1 -fsanitize=${VD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${VD_SANITIZE})
endif()
if(VD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link) # coverage of the libraries, not of the targets alone
endif()
if(VD_HARDEN)
  add_compile_options(-O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
                      -fcf-protection -ftrivial-auto-var-init=zero -fPIE)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
