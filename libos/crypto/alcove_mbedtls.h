/* SPDX-License-Identifier: MIT */
/* What of Mbed TLS is compiled: AES in GCM and XTS, SHA-2, HMAC, PBKDF2, and ECDSA and ECDH over P-256 and P-384. No
 * randomness of its own, no files, no time, no errors as text: callers pass random_bytes where a function wants some.
 * Tables of AES are made at first use; two CPUs that both make them write the same bytes. */
#ifndef CRYPTO_ALCOVE_MBEDTLS_H
#define CRYPTO_ALCOVE_MBEDTLS_H

#include <libos/heap.h>
#include <limits.h> /* oid.c expects it from stdio.h */

#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO heap_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   heap_free

#define MBEDTLS_AES_C
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_GCM_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_CIPHER_MODE_XTS
#define MBEDTLS_MD_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_PROCESS_ALT /* kdf.c */
#define MBEDTLS_SHA512_C
#define MBEDTLS_PKCS5_C
#define MBEDTLS_OID_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_NO_INTERNAL_RNG /* callers pass random_bytes */
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDH_C
#define MBEDTLS_NO_UDBL_DIVISION /* that would be a call into the compiler's library */
#define MBEDTLS_HAVE_ASM

#endif
