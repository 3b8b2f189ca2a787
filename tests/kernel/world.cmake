netjail_test(kernel_world kernel SOURCES world.cc MODULES test_support)
