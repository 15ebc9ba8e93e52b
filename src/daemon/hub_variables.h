/* daemon/hub_variables.h - what the environment says about the Hub and the way
 * there, under the names that huggingface_hub and its HTTP client read.
 */
#ifndef DAEMON_HUB_VARIABLES_H
#define DAEMON_HUB_VARIABLES_H
#include <stdbool.h>

/* Strings of the environment; NULL = unset. */
struct hub_variables {
    const char *endpoint; /* never NULL */
    const char *proxy;    /* of the endpoint's scheme */
    const char *no_proxy, *ca_file;
    bool offline;
};

struct hub_variables hub_variables(char *(*env)(const char *name));

#endif
