/* SPDX-License-Identifier: MIT */
/* Shared by the files of this folder. */
#ifndef CC_CC_INT_H
#define CC_CC_INT_H

#include <libos/tsm.h>

/* A TDX quote, made by the host's quoting service of the module's report. Sleeps; takes RANK_CC. */
int tdx_quote(struct tsm_request *r);
void tdx_quote_init(void);

#endif
