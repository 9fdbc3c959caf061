# castore_module(<name>
#   HEADERS ...   headers, relative to the module's folder
#   SOURCES ...   sources (none: a header-only module)
#   TESTS ...     unit tests; built into <name>_test, label "unit"
#   DEPS ...      modules this one may include: the one statement of the layering
#   LIBS ...      other libraries, linked publicly
#   TEST_DEPS ... modules only the tests may include)
#
# Makes the library castore_<name> with the alias castore::<name>. Every include starts at src/.
# tools/check_layers.py reads these calls and refuses an include that leaves DEPS.
function(castore_module name)
  cmake_parse_arguments(M "" "" "HEADERS;SOURCES;TESTS;DEPS;LIBS;TEST_DEPS" ${ARGN})
  set(lib castore_${name})
  if(M_SOURCES)
    add_library(${lib} STATIC ${M_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(${lib} PRIVATE castore_warnings)
  else()
    add_library(${lib} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(castore::${name} ALIAS ${lib})
  target_include_directories(${lib} ${scope} ${PROJECT_SOURCE_DIR}/src)
  foreach(dep IN LISTS M_DEPS)
    target_link_libraries(${lib} ${scope} castore::${dep})
  endforeach()
  target_link_libraries(${lib} ${scope} ${M_LIBS} Threads::Threads)

  if(M_TESTS AND CASTORE_TESTS)
    castore_test(${name}_test SOURCES ${M_TESTS} DEPS ${name} ${M_TEST_DEPS} LABELS unit)
  endif()
endfunction()

# castore_test(<name> SOURCES ... DEPS ... LIBS ... LABELS ... TIMEOUT s): one gtest program, one ctest entry.
function(castore_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;DEPS;LIBS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 600)
  endif()
  add_executable(${name} ${T_SOURCES})
  foreach(dep IN LISTS T_DEPS)
    target_link_libraries(${name} PRIVATE castore::${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE ${T_LIBS} castore_warnings GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT})
endfunction()
