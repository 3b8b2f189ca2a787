netjail_test(unit_nft quick SOURCES nft.cc MODULES nft)
