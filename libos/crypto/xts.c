/* SPDX-License-Identifier: MIT */
/* XTS by the CPU's instructions, with the key schedules that Mbed TLS makes; by Mbed TLS alone where there are none. */
#include <libos/xts.h>

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <mbedtls/aes.h>
#include <mbedtls/platform_util.h>
#include <plat/cpu.h>

struct xts {
    mbedtls_aes_xts_context enc, dec;
};

int xts_create(const uint8_t *key, size_t size, struct xts **ret_xts)
{
    struct xts *x;
    if (size != 32 && size != 64)
        return -EINVAL;
    if (!(x = heap_alloc(sizeof(*x))))
        return -ENOMEM;
    mbedtls_aes_xts_init(&x->enc);
    mbedtls_aes_xts_init(&x->dec);
    must(!mbedtls_aes_xts_setkey_enc(&x->enc, key, (unsigned)size * 8));
    must(!mbedtls_aes_xts_setkey_dec(&x->dec, key, (unsigned)size * 8));
    *ret_xts = x;
    return 0;
}

void xts_wipe(struct xts *x)
{
    mbedtls_platform_zeroize(x->enc.crypt.buf, sizeof(x->enc.crypt.buf));
    mbedtls_platform_zeroize(x->enc.tweak.buf, sizeof(x->enc.tweak.buf));
    mbedtls_platform_zeroize(x->dec.crypt.buf, sizeof(x->dec.crypt.buf));
    mbedtls_platform_zeroize(x->dec.tweak.buf, sizeof(x->dec.tweak.buf));
}

void xts_destroy(struct xts *x)
{
    if (!x)
        return;
    mbedtls_platform_zeroize(x, sizeof(*x));
    heap_free(x);
}

void xts_crypt(const struct xts *x, bool decrypt, uint64_t iv, const void *in, void *out,
               size_t size)
{
    const mbedtls_aes_xts_context *c = decrypt ? &x->dec : &x->enc;
    struct plat_aes_xts p = { c->crypt.rk, c->tweak.rk, (uint32_t)c->crypt.nr, decrypt };
    uint8_t unit[16] = { 0 };
    for (unsigned i = 0; i < 8; i++)
        unit[i] = (uint8_t)(iv >> 8 * i);
    if (plat_aes_xts(&p, unit, in, out, size / 16))
        return;
    /* It does not change the context, but says so only in its source. */
    must(!mbedtls_aes_crypt_xts((mbedtls_aes_xts_context *)(uintptr_t)c,
                                decrypt ? MBEDTLS_AES_DECRYPT : MBEDTLS_AES_ENCRYPT, size, unit, in,
                                out));
}
