#include "commands.h"
#include "planning.h"

namespace netjail {

Result<int> plan_command(const Arguments& arguments) {
  const std::string format = arguments.has("format") ? arguments.value("format") : "text";
  if (format != "text" && format != "nft" && format != "json")
    return fail("unknown format " + format, "text, nft or json");
  NJ_TRY_AS(const auto keep_fds, kept_descriptors(arguments));
  NJ_TRY_AS(const Planned planned, plan_run(arguments, keep_fds, false));
  NJ_TRY(print(format == "nft"    ? render_plan_nft(planned.plan)
               : format == "json" ? render_plan_json(planned.plan)
                                  : render_plan_text(planned.plan)));
  return 0;
}

}  // namespace netjail
