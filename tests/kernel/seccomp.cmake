netjail_test(kernel_seccomp kernel SOURCES seccomp.cc seccomp_loading.cc seccomp_programs.cc MODULES kernel)
