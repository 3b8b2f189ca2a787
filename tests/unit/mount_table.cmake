netjail_test(unit_mount_table quick SOURCES mount_table.cc MODULES jail)
target_include_directories(unit_mount_table PRIVATE ${PROJECT_SOURCE_DIR}/src/jail)
