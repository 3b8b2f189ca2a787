netjail_test(unit_resolver quick SOURCES resolver.cc resolver_tcp.cc resolver_conf.cc resolver_names.cc resolver_gate.cc resolver_attack.cc policies.cc dns_message.cc dns_question.cc
                     dns_answer.cc dns_chain.cc dns_service.cc dns_filter.cc dns_build.cc dns_scan.cc resolver_world.cc
             MODULES jail)
target_include_directories(unit_resolver PRIVATE ${PROJECT_SOURCE_DIR}/src/jail)
