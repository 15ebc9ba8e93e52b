/* fetch/hop.c - requests as libcurl wants them, and the rules of redirects. */
#include "fetch/hop.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    CONNECT_S = 10,
    LOW_SPEED_BYTES = 1024,
    LOW_SPEED_S = 30,
    RECEIVE_BYTES = 256 << 10,
};

/* ---- addresses -------------------------------------------------------------
 */

static bool url_part(CURLU *u, CURLUPart part, char *out, size_t size)
{
    char *z = NULL;
    if (curl_url_get(u, part, &z, CURLU_DEFAULT_PORT))
        return false;
    bool ok = str_to_z(str_of(z), out, size);
    curl_free(z);
    return ok;
}

static bool origin_of(CURLU *u, struct origin *ret)
{
    return url_part(u, CURLUPART_SCHEME, ret->scheme, sizeof(ret->scheme)) &&
           url_part(u, CURLUPART_HOST, ret->host, sizeof(ret->host)) &&
           url_part(u, CURLUPART_PORT, ret->port, sizeof(ret->port));
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return !strcmp(a->scheme, b->scheme) && !strcasecmp(a->host, b->host) &&
           !strcmp(a->port, b->port);
}

int hop_rules_init(struct hop_rules *rules, const struct fetch_params *params,
                   struct err *err)
{
    *rules = (struct hop_rules){.params = params};
    CURLU *u = curl_url();
    char *user = NULL;
    bool ok = u && !curl_url_set(u, CURLUPART_URL, params->endpoint, 0) &&
              origin_of(u, &rules->home);
    if (ok)
        ok = curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
    curl_free(user);
    curl_url_cleanup(u);
    rules->https = ok && !strcmp(rules->home.scheme, "https");
    if (!ok || (!rules->https && strcmp(rules->home.scheme, "http") != 0))
        return err_set(err, E_INVALID_REQUEST,
                       "\"%s\" is no address of a hub: HF_ENDPOINT must look "
                       "like https://huggingface.co",
                       params->endpoint);
    rules->headers = curl_slist_append(NULL, "Accept-Encoding: identity");
    return 0;
}

void hop_rules_fini(struct hop_rules *rules)
{
    curl_slist_free_all(rules->headers);
    rules->headers = NULL;
}

static bool is_private_v4(uint32_t a)
{
    return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 ||
           a >> 20 == 0xAC1 || a >> 16 == 0xC0A8 || a >> 16 == 0xA9FE ||
           a >> 22 == 0x191;
}

static bool is_private(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return is_private_v4(ntohl(
            ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
    const struct in6_addr *a =
        &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    uint32_t low;
    memcpy(&low, a->s6_addr + 12, 4);
    if (IN6_IS_ADDR_V4MAPPED(a))
        return is_private_v4(ntohl(low));
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) ||
           (a->s6_addr[0] & 0xFE) == 0xFC ||
           (a->s6_addr[0] == 0xFE && (a->s6_addr[1] & 0xC0) == 0x80);
}

/* libcurl is about to connect. With a proxy the address is the proxy's. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose,
                               struct curl_sockaddr *a)
{
    struct hop *h = ctx;
    bool inside = is_private(&a->addr);
    (void)purpose;
    if (h->home && inside)
        h->rules->private_ok = true;
    if (!h->home && inside && !h->rules->private_ok &&
        !h->rules->params->proxy[0]) {
        h->fatal = err_set(&h->err, E_HUB_UNREACHABLE,
                           "the hub redirects to %s, an address of a private "
                           "network: refused",
                           h->host);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* ---- one request -----------------------------------------------------------
 */

static size_t on_header(char *p, size_t one, size_t n, void *ctx)
{
    struct hop *h = ctx;
    (void)one;
    h->fatal = reply_header(&h->reply, str_n(p, n), &h->err);
    return h->fatal ? 0 : n;
}

static size_t on_data(char *p, size_t one, size_t n, void *ctx)
{
    struct hop *h = ctx;
    (void)one;
    return h->body(h->ctx, p, n) ? n : 0;
}

void hop_init(struct hop *h, struct hop_rules *rules, hop_body_fn *body,
              void *ctx)
{
    *h = (struct hop){.rules = rules, .body = body, .ctx = ctx};
}

void hop_drop(struct hop *h)
{
    curl_easy_cleanup(h->easy);
    curl_slist_free_all(h->range);
    h->easy = NULL;
    h->range = NULL;
}

void hop_home(struct hop *h, const char *url)
{
    snprintf(h->url, sizeof(h->url), "%s", url);
    snprintf(h->host, sizeof(h->host), "%s", h->rules->home.host);
    h->home = true;
}

static int set_network(const struct hop *h)
{
    const struct fetch_params *p = h->rules->params;
    CURL *c = h->easy;
    const char *schemes = h->rules->https ? "https" : "http,https";
    int r = 0;
    r |= (int)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    r |= (int)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, schemes);
    r |= (int)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    r |= (int)curl_easy_setopt(c, CURLOPT_HTTP_VERSION,
                               (long)CURL_HTTP_VERSION_1_1);
    r |= (int)curl_easy_setopt(c, CURLOPT_SSLVERSION,
                               (long)CURL_SSLVERSION_TLSv1_2);
    r |= (int)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    r |= (int)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT,
                               (long)LOW_SPEED_BYTES);
    r |= (int)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_S);
    r |= (int)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    r |= (int)curl_easy_setopt(c, CURLOPT_PROXY, p->proxy);
    r |= (int)curl_easy_setopt(c, CURLOPT_NOPROXY, p->no_proxy);
    if (p->ca_file[0])
        r |= (int)curl_easy_setopt(c, CURLOPT_CAINFO, p->ca_file);
    if (h->home && p->token[0]) {
        r |= (int)curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        r |= (int)curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, p->token);
    }
    return r;
}

static int set_callbacks(struct hop *h)
{
    CURL *c = h->easy;
    int r = 0;
    r |= (int)curl_easy_setopt(c, CURLOPT_URL, h->url);
    r |= (int)curl_easy_setopt(c, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    r |= (int)curl_easy_setopt(c, CURLOPT_HTTPHEADER,
                               h->range ? h->range : h->rules->headers);
    r |= (int)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    r |= (int)curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    r |= (int)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    r |= (int)curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    r |= (int)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    r |= (int)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h);
    r |= (int)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->reason);
    r |= (int)curl_easy_setopt(c, CURLOPT_PRIVATE, h->ctx);
    return r;
}

static void set_range(struct hop *h, uint64_t from, uint64_t end,
                      const char *etag)
{
    char line[200], last[24] = "";
    if (from == 0 && end == UINT64_MAX)
        return;
    if (end != UINT64_MAX)
        snprintf(last, sizeof(last), "%llu", (unsigned long long)end - 1);
    h->range = curl_slist_append(NULL, "Accept-Encoding: identity");
    snprintf(line, sizeof(line), "Range: bytes=%llu-%s",
             (unsigned long long)from, last);
    h->range = curl_slist_append(h->range, line);
    if (from > 0 && etag[0]) {
        snprintf(line, sizeof(line), "If-Range: %s", etag);
        h->range = curl_slist_append(h->range, line);
    }
}

int hop_start(struct hop *h, uint64_t from, uint64_t end, const char *etag,
              struct err *err)
{
    hop_drop(h);
    reply_begin(&h->reply);
    h->fatal = 0;
    h->reason[0] = 0;
    h->easy = curl_easy_init();
    set_range(h, from, end, etag);
    if (!h->easy || set_callbacks(h) || set_network(h))
        return err_set(err, E_INTERNAL,
                       "libcurl refuses what berth asks of it");
    return 0;
}

/* ---- redirects --------------------------------------------------------------
 */

/* Where Location leads, relative to where we are. */
static bool resolve(const struct hop *h, char *url, struct origin *to)
{
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, h->url, 0) &&
              !curl_url_set(u, CURLUPART_URL, h->reply.location, 0) &&
              !curl_url_set(u, CURLUPART_USER, NULL, 0) &&
              !curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) &&
              !curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) &&
              origin_of(u, to) && url_part(u, CURLUPART_URL, url, URL_MAX);
    curl_url_cleanup(u);
    return ok;
}

int hop_follow(struct hop *h, const char *what, struct err *err)
{
    char url[URL_MAX];
    struct origin to;
    if (!resolve(h, url, &to))
        return err_set(err, E_HUB_UNREACHABLE,
                       "the hub redirects %s to what is no address", what);
    bool https = !strcmp(to.scheme, "https");
    if (!https && (strcmp(to.scheme, "http") != 0 || h->rules->https ||
                   !strncmp(h->url, "https:", 6)))
        return err_set(err, E_HUB_UNREACHABLE,
                       "the hub redirects %s to %s://%s: refused", what,
                       to.scheme, to.host);
    memcpy(h->url, url, sizeof(url));
    memcpy(h->host, to.host, sizeof(to.host));
    h->home = same_origin(&to, &h->rules->home);
    return 0;
}

bool hop_is_hopeless(int code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_WEIRD_SERVER_REPLY:
        return true;
    default:
        return false;
    }
}

const char *hop_reason(const struct hop *h, int code)
{
    return h->reason[0] ? h->reason : curl_easy_strerror((CURLcode)code);
}
