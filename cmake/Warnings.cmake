# Warnings for our own targets only; a packager's newer compiler must not break the build, so they
# become errors in the presets alone.
add_library(castore_warnings INTERFACE)
target_compile_options(castore_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor>)
# Clang counts changes of sign among conversions, which GCC does not for C++, and sees libstdc++'s own
# use of what that deprecated.
target_compile_options(castore_warnings INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-sign-conversion -Wno-deprecated-declarations>)
# GCC says of each fence that ThreadSanitizer does not know it.
if(CASTORE_SANITIZE MATCHES "thread")
  target_compile_options(castore_warnings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>)
endif()
if(CASTORE_WERROR)
  target_compile_options(castore_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
