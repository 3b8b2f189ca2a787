netjail_test(unit_policy quick SOURCES policy.cc MODULES policy profile)
