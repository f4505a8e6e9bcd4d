/* SPDX-License-Identifier: MIT */
/* Recipes: which files a well-known program needs besides its libraries. apps/recipes/README says how to write one. */
#ifndef ALCOVE_CMD_RECIPE_H
#define ALCOVE_CMD_RECIPE_H

#include "ldso.h"
#include "stage.h"

/* Apply every recipe that matches the program at this image path (without links). Adds names of those that did to
 * ret_used, "K=V" defaults to env unless K is there. */
void recipe_apply(struct stage *s, struct ldso *l, const char *program, struct list *env,
                  struct list *ret_used);

#endif
