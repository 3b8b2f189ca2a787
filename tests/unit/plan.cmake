netjail_test(unit_plan quick
  SOURCES plan.cc plan_files.cc plan_flows.cc plan_host.cc plan_names.cc
  MODULES plan policy profile nft net base)
