# Part of `cmake --install`: /etc/apparmor.d/netjail, with the path of the program as it is installed.
# AUTO: where AppArmor has the rule that the profile is for, which came with its version 4. An older parser refuses the
# file, and its kernel has no such restriction. Packagers say ON or OFF, and use DESTDIR.
if(NETJAIL_APPARMOR STREQUAL "AUTO")
  set(NETJAIL_APPARMOR OFF)
  if(EXISTS /etc/apparmor.d/abi/4.0)
    # Whoever installs below his home may not write there.
    execute_process(COMMAND test -w "$ENV{DESTDIR}/etc/apparmor.d" -o -n "$ENV{DESTDIR}" RESULT_VARIABLE refused)
    if(NOT refused)
      set(NETJAIL_APPARMOR ON)
    endif()
  endif()
endif()
if(NETJAIL_APPARMOR)
  set(NETJAIL_INSTALLED ${NETJAIL_BINDIR}/netjail)
  cmake_path(ABSOLUTE_PATH NETJAIL_INSTALLED BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} NORMALIZE)
  configure_file(${NETJAIL_SOURCE}/apparmor/netjail.in ${NETJAIL_BUILD}/apparmor/netjail @ONLY)
  # AppArmor reads /etc alone, whatever the prefix.
  file(INSTALL ${NETJAIL_BUILD}/apparmor/netjail DESTINATION /etc/apparmor.d)
endif()
