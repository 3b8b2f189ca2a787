netjail_test(golden_seccomp quick SOURCES seccomp.cc MODULES kernel)
# The compiler behind the face: the ready table is compared with it.
target_include_directories(golden_seccomp PRIVATE ${PROJECT_SOURCE_DIR}/src/kernel)
