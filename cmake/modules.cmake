# netjail_module(NAME [DEPENDS MODULE...] [LIBRARIES LIB...])
#
# One static library per module, made of every .cc in the current folder. DEPENDS is the module's whole edge list;
# tests/check/layers compares every #include with it. LIBRARIES are third-party libraries that this module alone
# includes.
set_property(GLOBAL PROPERTY NETJAIL_EDGES "")
function(netjail_module name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)
    message(FATAL_ERROR "module ${name} has no source")
  endif()
  add_library(netjail_${name} STATIC ${sources})
  target_include_directories(netjail_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                             PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  list(TRANSFORM arg_DEPENDS PREPEND netjail_ OUTPUT_VARIABLE deps)
  target_link_libraries(netjail_${name} PUBLIC netjail_flags ${deps} PRIVATE ${arg_LIBRARIES})
  list(JOIN arg_DEPENDS " " edge)
  set_property(GLOBAL APPEND_STRING PROPERTY NETJAIL_EDGES "${name}: ${edge}\n")
endfunction()

# netjail_prefer_archive(VARIABLE NAME): the library's archive where the distribution has it: loading all of them at start-up
# costs more than the whole network set-up (DESIGN.md section 7).
function(netjail_prefer_archive variable name)
  find_library(${variable} NAMES lib${name}.a ${name} REQUIRED)
endfunction()
