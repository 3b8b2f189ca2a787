# The default policy's seccomp program as a constexpr table: compiling it at every launch costs a third of a millisecond.
# A cross build without an emulator has no table and compiles at run time, with the same result.
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
  add_executable(seccomp_table
    ${CMAKE_CURRENT_LIST_DIR}/seccomp_table.cc
    ${CMAKE_CURRENT_LIST_DIR}/../seccomp_compile.cc
    ${CMAKE_CURRENT_LIST_DIR}/../seccomp_families.cc)
  target_link_libraries(seccomp_table PRIVATE netjail_os netjail_base netjail_flags seccomp)
  add_custom_command(
    OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/seccomp_table.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/generated
    COMMAND seccomp_table > ${CMAKE_CURRENT_BINARY_DIR}/generated/seccomp_table.h
    DEPENDS seccomp_table VERBATIM)
  target_sources(netjail_kernel PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated/seccomp_table.h)
  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/../seccomp.cc PROPERTIES
    COMPILE_DEFINITIONS NETJAIL_SECCOMP_TABLE)
  target_include_directories(netjail_kernel PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endif()
