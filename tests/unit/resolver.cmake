netjail_test(unit_resolver quick SOURCES resolver.cc resolver_tcp.cc resolver_conf.cc dns_message.cc resolver_world.cc
             MODULES jail)
target_include_directories(unit_resolver PRIVATE ${PROJECT_SOURCE_DIR}/src/jail)
