netjail_test(kernel_assumptions kernel SOURCES assumptions.cc assumptions_namespaces.cc nft_fixture.cc MODULES kernel nft test_support)
