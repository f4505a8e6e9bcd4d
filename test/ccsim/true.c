/* SPDX-License-Identifier: MIT */
/* The least that a guest can run. */
int main(void)
{
    return 0;
}
