// Coverage of code compiled by g++ for libFuzzer. clang 14 cannot compile the project (no std::expected with
// libstdc++ 12, and broken std::ranges), and libFuzzer knows clang's kinds of coverage only; g++ has
// -fsanitize-coverage=trace-pc, a call at every basic block, for which libFuzzer has a useless function. The
// linker puts this in its place (--wrap): it counts the calls in a table of 8-bit counters, the kind that
// libFuzzer reads. Compiled without instrumentation, else it would count itself.
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t kCounters = std::size_t{1} << 16;
std::uint8_t counters[kCounters];

}  // namespace

extern "C" {

void __sanitizer_cov_8bit_counters_init(std::uint8_t* begin, std::uint8_t* end);

void __wrap___sanitizer_cov_trace_pc() {
  // Relative to this module: the same block has the same counter in every run, wherever the kernel puts the
  // program.
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)) -
                    reinterpret_cast<std::uintptr_t>(&__wrap___sanitizer_cov_trace_pc);
  std::uint8_t& counter = counters[(here * 0x9e3779b97f4a7c15u >> 40) % kCounters];
  if (counter != 255) ++counter;
}

// g++'s calls at comparisons of floating-point numbers, which libFuzzer does not know.
void __sanitizer_cov_trace_cmpd(double, double) {}
void __sanitizer_cov_trace_cmpf(float, float) {}

__attribute__((constructor)) static void register_counters() {
  __sanitizer_cov_8bit_counters_init(counters, counters + kCounters);
}

}  // extern "C"
