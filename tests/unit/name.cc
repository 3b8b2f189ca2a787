// Patterns of names as people write them: tables of what is read, and as what.
#include "netjail/net/name.h"

#include <doctest/doctest.h>

#include <array>

using namespace netjail;

namespace {

const PublicSuffixes& list() {
  static const PublicSuffixes builtin = PublicSuffixes::builtin();
  return builtin;
}

std::string read(std::string_view text) {
  const auto pattern = parse_name_pattern(text, list());
  if (!pattern) return "refused: " + pattern.error().what;
  return to_string(*pattern);
}

std::string repeat(std::string_view piece, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += piece;
  return out;
}
// A name of `size` octets, in labels of up to 63.
std::string name_of(std::size_t size) {
  std::string out;
  while (out.size() + 64 < size) out += std::string(63, 'a') + '.';
  return out + std::string(size - out.size(), 'b');
}

struct Pair {
  std::string_view text;
  std::string_view meant;
};
void check_pairs(std::span<const Pair> pairs) {
  for (const auto& [text, meant] : pairs) {
    CHECK_MESSAGE(read(text) == meant, text);
    // The one form is a fixed point, and so is the form for people.
    const auto pattern = parse_name_pattern(text, list());
    if (!pattern) continue;
    CHECK_MESSAGE(parse_name_pattern(to_string(*pattern), list()) == *pattern, text);
    CHECK_MESSAGE(parse_name_pattern(to_unicode(*pattern), list()) == *pattern, text);
  }
}

}  // namespace

TEST_CASE("names that are themselves") {
  for (const auto* text : {"example.com",
                           "*.example.com",
                           "*.a.b.c.d.e.f.example.com",
                           "xn--bcher-kva.example",
                           "com",
                           "co.uk",
                           "github.io",
                           "s3.amazonaws.com",
                           "intranet",
                           "db",
                           "a",
                           "a1",
                           "1a",
                           "x.1a",
                           "3com.com",
                           "1.2.3.example.com",
                           "163.com",
                           "*.163.com",
                           "r3---sn-5hne6nsz.googlevideo.com",
                           "*.googlevideo.com",
                           "a--b.example.com",
                           "ab--c.example.com",
                           "_acme-challenge.example.com",
                           "_443._tcp.example.com",
                           "*._domainkey.example.com",
                           "_.example.com",
                           "a_b.example.com",
                           "a_",
                           "printer.local",
                           "*.corp.local",
                           "host.home.arpa",
                           "home.arpa",
                           "*.home.arpa",
                           "arpa",
                           "ipv4only.arpa",
                           "www.test",
                           "*.www.test",
                           "test",
                           "example",
                           "localhost.example.com",
                           "notlocalhost",
                           "xonion",
                           "onion.example.com",
                           "*.www.ck",
                           "*.city.kawasaki.jp",
                           "*.amazonaws.com",
                           "*.x.github.io",
                           "*.example.co.uk",
                           "*.s3.example.com",
                           "*.x.s3.amazonaws.com",
                           "0x.example",
                           "x.0xg",
                           "x.0y",
                           "a.x0",
                           "*.xn--80aswg.xn--p1ai",
                           "dead.beef",
                           "e.0e"})
    CHECK_MESSAGE(read(text) == text, text);
}

TEST_CASE("other forms of the same name") {
  check_pairs(std::array<Pair, 23>{{{"Example.COM", "example.com"},
                                    {"EXAMPLE.COM.", "example.com"},
                                    {"*.Example.Com.", "*.example.com"},
                                    {"intranet.", "intranet"},
                                    {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
                                    {"Xn--Bcher-Kva.Example", "xn--bcher-kva.example"},
                                    {"bücher.example", "xn--bcher-kva.example"},
                                    {"BÜCHER.example", "xn--bcher-kva.example"},
                                    {"bu\u0308cher.example", "xn--bcher-kva.example"},  // not in form C
                                    {"*.bücher.example", "*.xn--bcher-kva.example"},
                                    // The dots of UTS 46.
                                    {"example\u3002com", "example.com"},
                                    {"example\uff0ecom", "example.com"},
                                    {"example\uff61com", "example.com"},
                                    {"example.com\u3002", "example.com"},
                                    {"www\u3002example\uff0ecom\uff61", "www.example.com"},
                                    {"*.www\u3002bücher\uff0eexample", "*.www.xn--bcher-kva.example"},
                                    // What maps to ASCII.
                                    {"ＧＯＯＧＬＥ.com", "google.com"},
                                    {"goo\u00adgle.com", "google.com"},
                                    {"\u212a.example", "k.example"},  // the kelvin sign
                                    {"\u2177.example", "viii.example"},
                                    {"ｘn--bcher-kva.example", "xn--bcher-kva.example"},
                                    {"FA\u1e9e.de", "fass.de"},
                                    {"a\u200bb.example", "ab.example"}}});
}

TEST_CASE("international names") {
  check_pairs(std::array<Pair, 44>{{
      // RFC 3492 section 7.1, those that are names; names of TLDs and of UTS 46's table of deviations.
      {"ليهمابتكلموشعربي؟.example",
       "refused: '\xd9\x84\xd9\x8a\xd9\x87\xd9\x85\xd8\xa7\xd8\xa8\xd8\xaa\xd9\x83"
       "\xd9\x84\xd9\x85\xd9\x88\xd8\xb4\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a\xd8\x9f' is no "
       "international label: string contains a disallowed character"},
      {"ليهمابتكلموشعربي.example", "xn--mgbcah9ar9a4efegftvvn.example"},
      {"他们为什么不说中文.example", "xn--ihqwcrb4cv8a8dqg056pqjye.example"},
      {"他們爲什麽不說中文.example", "xn--ihqwctvzc91f659drss3x8bo0yb.example"},
      {"pročprostěnemluvíčesky.example", "xn--proprostnemluvesky-uyb24dma41a.example"},
      {"למההםפשוטלאמדבריםעברית.example", "xn--4dbcagdahymbxekheh6e0a7fei0b.example"},
      {"なぜみんな日本語を話してくれないのか.example", "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa.example"},
      {"почемужеонинеговорятпорусски.example", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l.example"},
      {"porquénopuedensimplementehablarenespañol.example",
       "xn--porqunopuedensimplementehablarenespaol-fmd56a.example"},
      {"tạisaohọkhôngthểchỉnóitiếngviệt.example", "xn--tisaohkhngthchnitingvit-kjcr8268qyxafd2f1b9g.example"},
      {"3年b組金八先生.example", "xn--3b-ww4c5e180e575a65lsy2b.example"},
      {"安室奈美恵-with-super-monkeys.example", "xn---with-super-monkeys-pc58ag80a8qai00g7n9n.example"},
      {"ひとつ屋根の下2.example", "xn--2-u9tlzr9756bt3uc0v.example"},
      {"そのスピードで.example", "xn--d9juau41awczczp.example"},
      {"faß.de", "xn--fa-hia.de"},
      {"xn--fa-hia.de", "xn--fa-hia.de"},
      {"straße.example", "xn--strae-oqa.example"},
      {"βόλος.com", "xn--nxasmm1c.com"},
      {"βόλοσ.com", "xn--nxasmq6b.com"},
      {"ශ්\u200dරී.com", "xn--10cl1a0b660p.com"},  // ZWJ behind a virama: RFC 5892 A.2
      {"xn--10cl1a0b660p.com", "xn--10cl1a0b660p.com"},
      {"ශ්රී.com", "xn--10cl1a0b.com"},
      {"نامه\u200cای.com", "xn--mgba3gch31f060k.com"},  // ZWNJ between joining letters: A.1
      {"نامهای.com", "xn--mgba3gch31f.com"},
      {"क्\u200dष.example", "xn--11b2ezcw70k.example"},
      {"россия.рф", "xn--h1alffa9f.xn--p1ai"},
      {"*.россия.рф", "*.xn--h1alffa9f.xn--p1ai"},
      {"مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"},
      {"例子.测试", "xn--fsqu00a.xn--0zwm56d"},
      {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
      {"παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"},
      {"실례.테스트", "xn--9n2bp8q.xn--9t4b11yi5a"},
      {"उदाहरण.परीक्षा", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"},
      {"пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"},
      {"דוגמה.טעסט", "xn--6dbbec0c.xn--deba0ad"},
      {"உதாரணம்.பரிட்சை", "xn--zkc6cc5bi7f6e.xn--hlcj6aya9esc7a"},
      {"东京.example", "xn--xhqpn.example"},
      {"l·l.example", "xn--ll-0ea.example"},
      {"カ・カ.example", "xn--lcka3v.example"},
      {"אב1.example", "xn--1-zhcd.example"},
      {"İ.example", "xn--i-9bb.example"},
      {"ı.example", "xn--cfa.example"},
      {"é--é.example", "xn-----9iac.example"},
      {"𐒰.example", "xn--io8c.example"},
  }});
}

TEST_CASE("international labels that are none") {
  for (const std::string label :
       {"☃", "i❤", "💩", "xn--n3h", "xn--ls8h", "a\u200db", "a\u200cb", "\u200d",  // RFC 5892
        "اb", "1אב", "אבa", "אב-", "xn--b-kmc",                                   // RFC 5893
        "\u0301a", "ab--é", "-é", "é-", "é_é", "é\uff3f", "xn--_-9fab",           // RFC 5891 4.2.3
        // They stand for other ASCII than that of labels, or for nothing.
        "\u2100", "a\u2100b", "\u2474", "…", "a\u2024b", "\uff0a", "\uff0ax", "a\uff0ab", "\u2488", "é\uff01",
        "a\uff20é", "\u00ad", "\u200b", "\ufe00", "\u2060", "a\u00a0b", "\u1680", "a\u3164b", "a\uff0fb",
        "xn--", "xn---", "xn--a", "xn--0", "xn--zn7c", "xn--abc-", "xn--ABC-", "xn--google-",
        "xn--strae-oq",  // RFC 3492
        // What nobody can ask for by a U-label: capitals, forms that are not C, labels in labels.
        "xn--cea", "xn--e-xbb", "xn--lzg", "xn--xn--bcher-kva-", "xn--xn--bcher-kva-s8g",
        "xn--bcher-kva8445foa", "xn--\u00fc", "\uff58n--\u00fc", "xn--a-ecp", "\ufffd", "\ue000", "\u0378"})
    CHECK_MESSAGE(!parse_name_pattern(label + ".example", list()), label);
}

TEST_CASE("lengths") {
  const std::string full(63, 'a');
  CHECK(read(full + ".example") == full + ".example");
  CHECK(read("*." + full + ".example") == "*." + full + ".example");
  CHECK(read(full + "a.example").starts_with("refused: 'aaa"));
  // 63 octets as an A-label, whatever it is in UTF-8.
  const std::string eighteen = repeat("日本", 9);
  CHECK(read(eighteen + ".example").starts_with("xn--"));
  const std::string wide = repeat("ü", 57);
  CHECK(read(wide + ".example").starts_with("xn--"));
  CHECK(read(repeat("ü", 60) + ".example").starts_with("refused: "));
  CHECK(read(repeat("ひ", 200) + ".example").starts_with("refused: "));

  CHECK(name_of(253).size() == 253);
  CHECK(read(name_of(253)) == name_of(253));
  CHECK(read(name_of(253) + '.') == name_of(253));
  CHECK(read(name_of(254)) == "refused: this name has 254 octets: there are at most 253");
  // The shortest name below one of 251 octets has 253.
  const std::string base = name_of(251);
  CHECK(read("*." + base) == "*." + base);
  CHECK(read("*." + name_of(252)) == "refused: this name has 254 octets: there are at most 253");
  CHECK(read(repeat("a.", 126) + "a") == repeat("a.", 126) + "a");
  CHECK(read(repeat("a.", 127) + "a").starts_with("refused: this name has 255"));
  CHECK(read(std::string(1025, 'a')) == "refused: a name has at most 253 octets");
  CHECK(read(std::string(100'000, '.')) == "refused: a name has at most 253 octets");
}

TEST_CASE("to_unicode leaves alone what is no A-label") {
  const auto unicode = [](const char* text) { return to_unicode(Name{text}); };
  CHECK(unicode("xn--bcher-kva.example") == "bücher.example");
  CHECK(unicode("www.example") == "www.example");
  CHECK(unicode("xn--n3h.xn--bcher-kva") == "xn--n3h.bücher");
  CHECK(unicode("xn--.xn--abc-.xn--cea.xn--_-9fab") == "xn--.xn--abc-.xn--cea.xn--_-9fab");
  CHECK(to_unicode(NamePattern{{"xn--p1ai"}, true}) == "*.рф");
}
