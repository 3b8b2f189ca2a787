netjail_test(kernel_local kernel SOURCES local.cc MODULES kernel nft test_support)
