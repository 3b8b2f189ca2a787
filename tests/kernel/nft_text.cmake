netjail_test(kernel_nft_text kernel SOURCES nft_text.cc MODULES nft)
