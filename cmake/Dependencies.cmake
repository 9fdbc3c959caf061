# package          lowest   used by             why
# ---------------------------------------------------------------------------------------------
# fmt              9.1      everything          messages
# spdlog           1.10     base                log
# BLAKE3           1.3.1    digest              names of all objects
# OpenSSL crypto   3.0      digest              SHA-256 with the CPU's own instructions
# LMDB             0.9.24   backends/local      index and small blobs
# liburing         2.3      fuse_device         requests through memory shared with the kernel
# libseccomp       2.5      sandbox             what a served process may ask of the kernel
# libarchive       3.6      transfer            tar, plain and compressed
# CLI11            2.1      cli                 options
# nlohmann-json    3.11     cli, tests          --json, golden data
# GoogleTest       1.12     tests
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
find_package(LibArchive 3.6 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(LIBSECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)

# BLAKE3: the system's library where there is one, else the official C and assembly sources that
# Debian 12 ships inside librust-blake3-dev.
pkg_check_modules(LIBBLAKE3 IMPORTED_TARGET libblake3)
if(LIBBLAKE3_FOUND)
  add_library(castore_blake3 ALIAS PkgConfig::LIBBLAKE3)
else()
  file(GLOB CASTORE_BLAKE3_DIRS /usr/share/cargo/registry/blake3-1.*/c)
  if(NOT CASTORE_BLAKE3_DIRS)
    message(FATAL_ERROR "BLAKE3 not found: install libblake3-dev, or librust-blake3-dev on Debian 12")
  endif()
  list(GET CASTORE_BLAKE3_DIRS -1 CASTORE_BLAKE3_DIR)
  add_library(castore_blake3 STATIC
    ${CASTORE_BLAKE3_DIR}/blake3.c
    ${CASTORE_BLAKE3_DIR}/blake3_dispatch.c
    ${CASTORE_BLAKE3_DIR}/blake3_portable.c)
  target_include_directories(castore_blake3 SYSTEM PUBLIC ${CASTORE_BLAKE3_DIR})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_sources(castore_blake3 PRIVATE
      ${CASTORE_BLAKE3_DIR}/blake3_sse2_x86-64_unix.S
      ${CASTORE_BLAKE3_DIR}/blake3_sse41_x86-64_unix.S
      ${CASTORE_BLAKE3_DIR}/blake3_avx2_x86-64_unix.S
      ${CASTORE_BLAKE3_DIR}/blake3_avx512_x86-64_unix.S)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_sources(castore_blake3 PRIVATE ${CASTORE_BLAKE3_DIR}/blake3_neon.c)
  endif()
endif()

if(CASTORE_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
