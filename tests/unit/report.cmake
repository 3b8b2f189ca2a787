netjail_test(unit_report quick SOURCES report.cc policies.cc MODULES report)
