/* daemon/settings_docs.c - prints the tables of docs/config.md. */
#include "daemon/settings.h"
#include <stdio.h>

int main(void)
{
    struct buf out = BUF_MAX(1 << 20);
    settings_print_docs(&out);
    fwrite(out.p, 1, out.len, stdout);
    buf_fini(&out);
    return 0;
}
