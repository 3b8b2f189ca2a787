netjail_test(kernel_nft_learned kernel SOURCES nft_learned.cc nft_learned_traffic.cc nft_learned_fixture.cc nft_fixture.cc
  MODULES kernel nft test_support)
