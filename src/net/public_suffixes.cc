#include "netjail/net/public_suffixes.h"

#include <libpsl.h>

#include <cstdio>
#include <string>

#include "netjail/net/name.h"

namespace netjail {

PublicSuffixes PublicSuffixes::builtin() {
  // psl_free leaves the built-in one alone.
  return PublicSuffixes(std::shared_ptr<const void>(psl_builtin(), [](const void*) {}));
}

PublicSuffixes PublicSuffixes::parse(std::string_view contents) {
  std::string copy(contents);  // fmemopen wants octets that it could write to
  std::FILE* file = fmemopen(copy.data(), copy.size(), "r");
  if (file == nullptr) return {};
  psl_ctx_t* list = psl_load_fp(file);
  std::fclose(file);
  const std::shared_ptr<psl_ctx_t> owned(list, psl_free);
  // libpsl takes any text for a list, an error page too.
  if (list == nullptr || psl_is_public_suffix2(list, "com", PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) != 1)
    return {};
  return PublicSuffixes(owned);
}

bool PublicSuffixes::contains(const Name& name) const {
  const auto* list = static_cast<const psl_ctx_t*>(list_.get());
  return psl_is_public_suffix2(list, name.text.c_str(), PSL_TYPE_ANY) != 0;
}

}  // namespace netjail
