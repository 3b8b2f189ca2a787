netjail_test(kernel_nft_load kernel SOURCES nft_load.cc nft_fixture.cc MODULES kernel nft test_support)
