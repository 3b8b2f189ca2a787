# Checks of the tree itself: scripts, so that they are quick. Each tries itself on a flaw first.
function(netjail_check name)
  add_test(NAME check_${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh ${ARGN})
  set_tests_properties(check_${name} PROPERTIES LABELS quick TIMEOUT 300 SKIP_RETURN_CODE 77)
endfunction()

get_property(edges GLOBAL PROPERTY NETJAIL_EDGES)
# main.cc is no module: it may see the program's face and the errors.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/edges.txt "${edges}main: cli base\n")

set(root ${PROJECT_SOURCE_DIR})
netjail_check(layers ${CMAKE_CURRENT_BINARY_DIR}/edges.txt ${root})
netjail_check(sizes ${root})
netjail_check(format ${root})
netjail_check(manual ${root} $<TARGET_FILE:netjail> ${PROJECT_BINARY_DIR}/man/netjail-profile.5)
netjail_check(profiles ${root} $<TARGET_FILE:netjail>)
netjail_check(escape ${root} $<TARGET_FILE_DIR:escape-outside>)
netjail_check(completions $<TARGET_FILE:netjail>)
netjail_check(apparmor ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND})

# All that the quick tests need and nothing else: the developer's loop, and the sanitizer run of scripts/test.
add_custom_target(quick_tests DEPENDS netjail netjail_manual escape_probes)
foreach(part unit golden)
  get_property(tests DIRECTORY ${PROJECT_SOURCE_DIR}/tests/${part} PROPERTY TESTS)
  foreach(test ${tests})
    add_dependencies(quick_tests ${test})
  endforeach()
endforeach()
