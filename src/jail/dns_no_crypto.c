/* Stands in for libcrypto, which ldns wants for DNSSEC and TSIG: netjail reads messages, it signs none.
 *
 * ldns_wire2pkt itself needs no cryptography, but the members of the archive refer to each other, so a
 * static link asks for all of the symbols below. Cost of a launch over that of an empty program (median of
 * 200, twice): with libldns.so 0.82 ms, libldns.a and libcrypto.so 0.57 ms, libldns.a and libcrypto.a 0.24
 * ms and 370 KiB of relocated (private) pages, libldns.a and this file 0.01 ms.
 *
 * A call of one of them ends the process. None is reachable from dns_ldns.cc; tests/fuzz/fuzz_dns.cc would
 * find it. A later ldns that needs another symbol fails to link. They are hidden, so that a shared library
 * that brings the real libcrypto is never bound to them. */
#include <stdlib.h>

__attribute__((visibility("hidden"))) void netjail_no_crypto(void);
void netjail_no_crypto(void) { abort(); }

#define ABSENT(name) __attribute__((visibility("hidden"), alias("netjail_no_crypto"))) extern void name(void)

ABSENT(BN_bin2bn);
ABSENT(BN_bn2bin);
ABSENT(BN_free);
ABSENT(BN_new);
ABSENT(BN_num_bits);
ABSENT(CRYPTO_free);
ABSENT(CRYPTO_memcmp);
ABSENT(DSA_SIG_free);
ABSENT(DSA_SIG_get0);
ABSENT(DSA_SIG_new);
ABSENT(DSA_SIG_set0);
ABSENT(DSA_do_sign);
ABSENT(DSA_free);
ABSENT(DSA_generate_key);
ABSENT(DSA_generate_parameters_ex);
ABSENT(DSA_get0_key);
ABSENT(DSA_get0_pqg);
ABSENT(DSA_new);
ABSENT(DSA_set0_key);
ABSENT(DSA_set0_pqg);
ABSENT(ECDSA_SIG_free);
ABSENT(ECDSA_SIG_get0);
ABSENT(EC_GROUP_get0_generator);
ABSENT(EC_GROUP_get_curve_name);
ABSENT(EC_KEY_free);
ABSENT(EC_KEY_generate_key);
ABSENT(EC_KEY_get0_group);
ABSENT(EC_KEY_get0_private_key);
ABSENT(EC_KEY_new_by_curve_name);
ABSENT(EC_KEY_set_conv_form);
ABSENT(EC_KEY_set_private_key);
ABSENT(EC_KEY_set_public_key);
ABSENT(EC_POINT_copy);
ABSENT(EC_POINT_free);
ABSENT(EC_POINT_mul);
ABSENT(EC_POINT_new);
ABSENT(ENGINE_load_private_key);
ABSENT(ERR_print_errors_fp);
ABSENT(EVP_DigestFinal_ex);
ABSENT(EVP_DigestInit);
ABSENT(EVP_DigestInit_ex);
ABSENT(EVP_DigestSign);
ABSENT(EVP_DigestSignInit);
ABSENT(EVP_DigestUpdate);
ABSENT(EVP_DigestVerify);
ABSENT(EVP_DigestVerifyInit);
ABSENT(EVP_MD_CTX_free);
ABSENT(EVP_MD_CTX_new);
ABSENT(EVP_PKEY_CTX_free);
ABSENT(EVP_PKEY_CTX_new_id);
ABSENT(EVP_PKEY_CTX_set_rsa_keygen_bits);
ABSENT(EVP_PKEY_assign);
ABSENT(EVP_PKEY_free);
ABSENT(EVP_PKEY_get1_DSA);
ABSENT(EVP_PKEY_get1_EC_KEY);
ABSENT(EVP_PKEY_get1_RSA);
ABSENT(EVP_PKEY_get_base_id);
ABSENT(EVP_PKEY_get_id);
ABSENT(EVP_PKEY_keygen);
ABSENT(EVP_PKEY_keygen_init);
ABSENT(EVP_PKEY_new);
ABSENT(EVP_PKEY_set1_DSA);
ABSENT(EVP_PKEY_set1_RSA);
ABSENT(EVP_SignFinal);
ABSENT(EVP_VerifyFinal);
ABSENT(EVP_md5);
ABSENT(EVP_sha1);
ABSENT(EVP_sha256);
ABSENT(EVP_sha384);
ABSENT(EVP_sha512);
ABSENT(HMAC);
ABSENT(MD5);
ABSENT(RAND_bytes);
ABSENT(RAND_seed);
ABSENT(RSA_free);
ABSENT(RSA_get0_crt_params);
ABSENT(RSA_get0_factors);
ABSENT(RSA_get0_key);
ABSENT(RSA_new);
ABSENT(RSA_set0_crt_params);
ABSENT(RSA_set0_factors);
ABSENT(RSA_set0_key);
ABSENT(RSA_sign);
ABSENT(SHA1);
ABSENT(SHA384);
ABSENT(UI_OpenSSL);
ABSENT(d2i_DSA_SIG);
ABSENT(d2i_ECDSA_SIG);
ABSENT(d2i_PUBKEY);
ABSENT(d2i_PrivateKey);
ABSENT(i2d_DSA_SIG);
ABSENT(i2d_PUBKEY);
ABSENT(i2d_PrivateKey);
ABSENT(i2o_ECPublicKey);
ABSENT(o2i_ECPublicKey);
