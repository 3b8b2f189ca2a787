netjail_test(kernel_nft_encoding kernel SOURCES nft_encoding.cc nft_fixture.cc MODULES kernel plan policy nft test_support)
