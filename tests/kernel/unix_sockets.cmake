netjail_test(kernel_unix_sockets kernel SOURCES unix_sockets.cc MODULES kernel os base)
