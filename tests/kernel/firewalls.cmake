netjail_test(kernel_firewalls kernel SOURCES firewalls.cc MODULES kernel nft test_support)
