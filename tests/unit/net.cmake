netjail_test(unit_net quick SOURCES net.cc embedded.cc flow.cc hosts.cc MODULES net)
netjail_test(unit_name quick SOURCES name.cc name_mistakes.cc name_match.cc MODULES net base)
