netjail_test(unit_plan quick SOURCES plan.cc MODULES plan policy profile nft net base)
