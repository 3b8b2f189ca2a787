netjail_test(kernel_netlink kernel SOURCES netlink.cc MODULES kernel test_support)
