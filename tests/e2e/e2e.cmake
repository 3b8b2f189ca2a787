netjail_test(e2e_smoke e2e SOURCES smoke.cc MODULES test_support)
