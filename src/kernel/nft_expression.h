// One Expression as the nf_tables expressions that nft(8) makes of its text: registers, order and sizes.
#pragma once

#include "netjail/nft/ruleset.h"

struct nftnl_rule;

namespace netjail {

void add_expression(nftnl_rule* rule, const nft::Expression& expression);

}  // namespace netjail
