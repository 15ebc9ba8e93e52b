/* api/api_docs.c - prints the index of routes of docs/api.md. */
#include <stdio.h>

int main(void)
{
    static const char *const routes[][4] = {
#define ROUTE(method, pattern, proto, fn, flags, doc) \
    {#method, pattern, #proto, doc},
#include "api/routes.def"
#undef ROUTE
    };
    puts("| route | errors as | what it does |\n|---|---|---|");
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        printf("| `%s %s` | %s | %s |\n", routes[i][0], routes[i][1],
               routes[i][2], routes[i][3]);
    return 0;
}
