/* api/fail.c - one error, the shape of every protocol. */
#include "api/call.h"
#include <stdarg.h>
#include <stdio.h>

int api_error_status(enum api_proto proto, int code)
{
    int status = err_http_status(code);
    code = code < 0 ? -code : code;
    if (proto == PROTO_TEI) {
        if (code == E_INVALID_REQUEST || code == E_INPUT_TOO_LONG)
            return 422;
        if (code == E_WORKER_CRASHED || code == E_INTERNAL)
            return 424;
    }
    if (proto == PROTO_HF && code == E_INPUT_TOO_LONG)
        return 422;
    return status;
}

static const char *openai_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 503:
        return "unavailable_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static const char *tei_type(int status)
{
    switch (status) {
    case 424:
        return "Backend";
    case 429:
        return "Overloaded";
    case 503:
        return "Unhealthy";
    default:
        return status >= 500 ? "Backend" : "Validation";
    }
}

static void openai_error(struct jsonw *w, const struct err *err)
{
    jsonw_key(w, "error");
    jsonw_object(w);
    jsonw_kz(w, "message", err->msg);
    jsonw_kz(w, "type", openai_type(api_error_status(PROTO_OPENAI, err->code)));
    jsonw_kz(w, "param",
             err->code == E_MODEL_NOT_FOUND  ? "model"
             : err->code == E_INPUT_TOO_LONG ? "input"
                                             : NULL);
    jsonw_kz(w, "code", err_name(err->code));
    jsonw_end_object(w);
}

void api_error_body(struct buf *out, enum api_proto proto,
                    const struct err *err)
{
    struct jsonw w = jsonw_to(out);
    jsonw_object(&w);
    switch (proto) {
    case PROTO_OPENAI:
        openai_error(&w, err);
        break;
    case PROTO_HF:
        jsonw_kz(&w, "error", err->msg);
        jsonw_kz(&w, "error_type", err_name(err->code));
        break;
    case PROTO_TEI:
        jsonw_kz(&w, "error", err->msg);
        jsonw_kz(&w, "error_type",
                 tei_type(api_error_status(proto, err->code)));
        break;
    case PROTO_BERTH:
        jsonw_key(&w, "error");
        jsonw_object(&w);
        jsonw_kz(&w, "code", err_name(err->code));
        jsonw_kz(&w, "message", err->msg);
        jsonw_end_object(&w);
        break;
    }
    jsonw_end_object(&w);
}

void api_fail(struct api *a, struct http_request *r, enum api_proto proto,
              const struct err *err, const char *model)
{
    struct buf body = BUF_MAX(16384);
    int status = api_error_status(proto, err->code);
    api_error_body(&body, proto, err);
    if (status == 429 || status == 503)
        http_add_header(r, "Retry-After", "%u",
                        model ? manager_retry_after(a->manager, model) : 1);
    http_reply(r, status, "application/json", &body);
}

void api_fail_at(struct api *a, struct http_request *r, enum api_proto proto,
                 const char *model, int code, const char *fmt, ...)
{
    struct err err;
    char text[sizeof(err.msg)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(&err, code, "%s", text);
    api_fail(a, r, proto, &err, model);
}

void api_reply_json(struct http_request *r, int status, struct buf *body)
{
    if (body->failed) {
        buf_reset(body);
        buf_puts(body, "{\"error\":{\"code\":\"internal\",\"message\":"
                       "\"the answer is too large\"}}");
        status = 500;
    }
    http_reply(r, status, "application/json", body);
}
