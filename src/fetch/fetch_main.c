/* fetch/fetch_main.c - berth-fetch: a child of the daemon, never run by hand.
 */
#include "fetch/fetch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { CHANNEL_FD = 3 };

int main(void)
{
    if (fcntl(CHANNEL_FD, F_GETFD) < 0) {
        fputs("berth-fetch is started by berthd, with a socket as descriptor "
              "3. To get a model: berth pull NAME\n",
              stderr);
        return 2;
    }
    return fetch_serve(CHANNEL_FD);
}
