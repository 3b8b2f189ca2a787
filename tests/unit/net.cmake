netjail_test(unit_net quick SOURCES net.cc flow.cc MODULES net)
