# Language level, default build type, and the tools that make a rebuild short.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

find_program(CASTORE_CCACHE ccache)
if(CASTORE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths inside the checkout count as relative, so that clones and worktrees share what they compile.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CASTORE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

# 64-bit off_t everywhere; the store's files do not fit in 31 bits.
add_compile_definitions(_FILE_OFFSET_BITS=64 _GNU_SOURCE)
