netjail_test(unit_explanation quick SOURCES explanation.cc MODULES cli policy profile net base)
target_include_directories(unit_explanation PRIVATE ${PROJECT_SOURCE_DIR}/src/cli)
