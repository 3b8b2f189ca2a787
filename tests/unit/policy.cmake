netjail_test(unit_policy quick SOURCES policy.cc policy_names.cc MODULES policy profile net)
