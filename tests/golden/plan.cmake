netjail_test(golden_plan quick SOURCES plan.cc MODULES plan policy profile nft net base)
