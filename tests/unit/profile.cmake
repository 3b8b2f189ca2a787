netjail_test(unit_profile quick
  SOURCES profile.cc profile_mistakes.cc profile_spec.cc profile_names.cc profile_resolver.cc profile_load.cc
          named_sets.cc named_sets_files.cc
  MODULES policy profile os net base)
netjail_test(unit_profile_families quick
  SOURCES profile_families.cc
  MODULES kernel profile)
