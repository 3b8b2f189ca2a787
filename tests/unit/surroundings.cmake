netjail_test(unit_surroundings quick SOURCES surroundings.cc MODULES kernel)
target_include_directories(unit_surroundings PRIVATE ${PROJECT_SOURCE_DIR}/src/kernel)
