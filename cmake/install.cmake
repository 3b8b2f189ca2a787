# cmake --install BUILD: the program, the shipped profiles, AppArmor's profile of the program, the manual pages, the
# completions.
install(TARGETS netjail RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY profiles/ DESTINATION ${CMAKE_INSTALL_DATADIR}/netjail/profiles FILES_MATCHING PATTERN "*.toml")

set(NETJAIL_APPARMOR AUTO CACHE STRING "install the AppArmor profile: AUTO, ON or OFF")
install(CODE "
  if(NOT DEFINED NETJAIL_APPARMOR)
    set(NETJAIL_APPARMOR \"${NETJAIL_APPARMOR}\")
  endif()
  set(NETJAIL_BINDIR \"${CMAKE_INSTALL_BINDIR}\")
  set(NETJAIL_SOURCE \"${PROJECT_SOURCE_DIR}\")
  set(NETJAIL_BUILD \"${PROJECT_BINARY_DIR}\")
  include(\"${PROJECT_SOURCE_DIR}/cmake/apparmor.cmake\")" COMPONENT apparmor)

add_subdirectory(man)

# The completions come out of the command table of the program that was built; a cross build needs an emulator for that.
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
  set(completions ${PROJECT_BINARY_DIR}/completions)
  foreach(pair "bash:netjail" "zsh:_netjail" "fish:netjail.fish")
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 shell)
    list(GET pair 1 file)
    # A folder each: bash's and fish's names are fixed by the shells.
    set(output ${completions}/${shell}/${file})
    add_custom_command(OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}/${shell}
      COMMAND netjail completions ${shell} > ${output}
      DEPENDS netjail VERBATIM)
    list(APPEND completion_files ${output})
  endforeach()
  add_custom_target(netjail_completions ALL DEPENDS ${completion_files})
  # OPTIONAL: a tree in which only one target was built (scripts/build) installs what there is.
  install(FILES ${completions}/bash/netjail DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions OPTIONAL)
  install(FILES ${completions}/zsh/_netjail DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions OPTIONAL)
  install(FILES ${completions}/fish/netjail.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)
endif()
