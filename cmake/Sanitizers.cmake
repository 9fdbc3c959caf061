# CASTORE_SANITIZE=address,undefined | thread instruments every target, the fuzz targets included.
# CASTORE_SANITIZED and CASTORE_TSAN are defined for what a sanitizer's runtime needs.
if(CASTORE_SANITIZE)
  add_compile_options(-fsanitize=${CASTORE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CASTORE_SANITIZE})
  # Not vptr: it looks into memory by way of a pipe, and takes an object for damaged in a test that
  # has used up all descriptors.
  if(CASTORE_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
    add_link_options(-fno-sanitize=vptr)
  endif()
  add_compile_definitions(CASTORE_SANITIZED=1)
  if(CASTORE_SANITIZE MATCHES "thread")
    add_compile_definitions(CASTORE_TSAN=1)
  endif()
endif()

# The libraries under a fuzz target tell libFuzzer which branches an input took.
if(CASTORE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
