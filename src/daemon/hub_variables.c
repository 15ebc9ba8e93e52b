/* daemon/hub_variables.c - what the environment says about the Hub. */
#include "daemon/hub_variables.h"
#include "base/err.h"
#include <string.h>
#include <strings.h>

#define HUB "https://huggingface.co"

typedef char *env_fn(const char *name);

/* The first of the names that is set and not empty; NULL: none. */
static const char *first(env_fn *env, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *v = env(names[i]);
        if (v && *v)
            return v;
    }
    return NULL;
}

static bool is_true(const char *v)
{
    static const char *const words[] = {"1", "on", "yes", "true"};
    for (size_t i = 0; v && i < ARRAY_LEN(words); i++)
        if (!strcasecmp(v, words[i]))
            return true;
    return false;
}

struct hub_variables hub_variables(env_fn *env)
{
    static const char *const endpoint[] = {"HF_ENDPOINT"};
    static const char *const offline[] = {"HF_HUB_OFFLINE",
                                          "TRANSFORMERS_OFFLINE"};
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY",
                                        "all_proxy", "ALL_PROXY"};
    static const char *const http[] = {"http_proxy", "HTTP_PROXY", "all_proxy",
                                       "ALL_PROXY"};
    static const char *const none[] = {"no_proxy", "NO_PROXY"};
    static const char *const ca[] = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                                     "SSL_CERT_FILE"};
    struct hub_variables v = {
        .endpoint = first(env, endpoint, ARRAY_LEN(endpoint)),
        .no_proxy = first(env, none, ARRAY_LEN(none)),
        .ca_file = first(env, ca, ARRAY_LEN(ca)),
        .offline = is_true(first(env, offline, ARRAY_LEN(offline))),
    };
    if (!v.endpoint)
        v.endpoint = HUB;
    bool plain = !strncasecmp(v.endpoint, "http:", 5);
    v.proxy = first(env, plain ? http : https, ARRAY_LEN(http));
    return v;
}
