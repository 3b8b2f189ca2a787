netjail_test(kernel_unix_sockets quick SOURCES unix_sockets.cc MODULES kernel os base)
