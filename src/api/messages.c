/* api/messages.c - the messages of a chat to the parts of an item. */
#include "api/messages.h"
#include "api/infer.h"
#include "base/base64.h"

enum { MESSAGE_BYTES = 16 << 20, MEDIA_MAX = 100 };

struct reading {
    struct arena *a;
    struct item item;
    size_t room; /* for parts */
    struct messages is;
    size_t at; /* of the message, for the sentences */
};

static int no_memory(struct err *err)
{
    return err_set(err, E_TOO_LARGE,
                   "the messages need more memory than one request may take");
}

static int add_part(struct reading *x, const struct part *p, struct err *err)
{
    if (x->item.n_parts == x->room)
        return err_set(err, E_TOO_LARGE,
                       "the conversation has more than %d parts: leave out its "
                       "oldest messages",
                       FRAME_PARTS_MAX);
    x->item.parts[x->item.n_parts++] = *p;
    return 0;
}

/* ---- pictures and sound ------------------------------------------------- */

static int decode(struct reading *x, struct str text, struct part *p,
                  struct err *err)
{
    struct buf b = BUF_MAX(MESSAGE_BYTES);
    int r = base64_decode(&b, text);
    if (r < 0) {
        buf_fini(&b);
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: a picture or sound is not base64",
                       x->at);
    }
    char *copy = arena_str(x->a, buf_str(&b));
    p->kind = PART_BYTES;
    p->data = str_n(copy, b.len);
    buf_fini(&b);
    return copy ? 0 : no_memory(err);
}

/* data:image/png;base64,... */
static int read_image(struct reading *x, struct json v, struct part *p,
                      struct err *err)
{
    struct str url = {0};
    struct json image = json_get(v, "image_url");
    if (!json_to_str(image, &url) && !json_to_str(json_get(image, "url"), &url))
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: 'image_url' has no 'url'", x->at);
    const char *comma = url.n ? memchr(url.p, ',', url.n) : NULL;
    if (!str_starts(url, "data:") || !comma)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "messages[%zu]: pictures are not fetched from an "
                       "address; send them as data:image/png;base64,...",
                       x->at);
    struct str head = str_n(url.p + 5, (size_t)(comma - url.p) - 5);
    if (!str_ends(head, ";base64") || head.n > MEDIA_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: a data: address of a picture should "
                       "begin as data:image/png;base64,",
                       x->at);
    p->media = str_n(head.p, head.n - strlen(";base64"));
    x->is.image = true;
    return decode(x, str_n(comma + 1, url.n - (size_t)(comma + 1 - url.p)), p,
                  err);
}

static int read_audio(struct reading *x, struct json v, struct part *p,
                      struct err *err)
{
    struct json audio = json_get(v, "input_audio");
    struct str data, format = str_of("wav");
    if (!json_to_str(json_get(audio, "data"), &data))
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: 'input_audio' has no 'data'", x->at);
    json_to_str(json_get(audio, "format"), &format);
    p->media = str_of(str_is(format, "mp3")   ? "audio/mpeg"
                      : str_is(format, "wav") ? "audio/wav"
                                              : "");
    x->is.audio = true;
    return decode(x, data, p, err);
}

static int read_piece(struct reading *x, struct json v, struct part *p,
                      struct err *err)
{
    struct str type = {0};
    json_to_str(json_get(v, "type"), &type);
    p->kind = PART_TEXT;
    if (str_is(type, "text") && json_to_str(json_get(v, "text"), &p->data))
        return 0;
    if (str_is(type, "image_url"))
        return read_image(x, v, p, err);
    if (str_is(type, "input_audio"))
        return read_audio(x, v, p, err);
    return err_set(err, E_INVALID_REQUEST,
                   "messages[%zu]: the parts of its content should be of type "
                   "text, image_url or input_audio",
                   x->at);
}

/* ---- messages ----------------------------------------------------------- */

/* The first part has the role, the others go on. */
static int read_pieces(struct reading *x, struct str role, struct json content,
                       struct err *err)
{
    int r = 0;
    if (json_count(content) == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: its content is empty", x->at);
    for (struct json_iter it = json_iter(content); r == 0 && json_next(&it);) {
        struct part p = {.role = role};
        r = read_piece(x, it.value, &p, err);
        if (r == 0)
            r = add_part(x, &p, err);
        role = str_of("");
    }
    return r;
}

/* Whether there is more to it than role and content. */
static bool has_more(struct json message)
{
    static const char *const keys[] = {"tool_calls", "tool_call_id", "name",
                                       "reasoning_content", "function_call"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct json v = json_get(message, keys[i]);
        enum json_type t = json_type(v);
        if (t == JSON_STRING || json_count(v))
            return true;
    }
    return false;
}

static bool only_texts(struct json content)
{
    for (struct json_iter it = json_iter(content); json_next(&it);)
        if (json_type(json_get(it.value, "text")) != JSON_STRING)
            return false;
    return true;
}

/* Whole, for the template to see. */
static int read_whole(struct reading *x, struct str role, struct json message,
                      struct err *err)
{
    if (!only_texts(json_get(message, "content")))
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: one with a picture or sound can have "
                       "nothing but 'role' and 'content'",
                       x->at);
    struct buf b = BUF_MAX(MESSAGE_BYTES);
    struct jsonw w = jsonw_to(&b);
    int r = json_copy(&w, message, err);
    if (r < 0) {
        buf_fini(&b);
        return err_prefix(err, "messages[%zu]", x->at);
    }
    char *copy = b.failed ? NULL : arena_str(x->a, buf_str(&b));
    struct part p = {.kind = PART_TEXT,
                     .role = role,
                     .media = str_of("application/json"),
                     .data = str_n(copy, b.len)};
    buf_fini(&b);
    return copy ? add_part(x, &p, err) : no_memory(err);
}

static int read_message(struct reading *x, struct json v, struct err *err)
{
    static const char *const roles[] = {"system", "developer", "user",
                                        "assistant", "tool"};
    struct json content = json_get(v, "content");
    struct part p = {.kind = PART_TEXT};
    size_t i = 0;
    if (!json_to_str(json_get(v, "role"), &p.role))
        return err_set(err, E_INVALID_REQUEST, "messages[%zu] has no 'role'",
                       x->at);
    while (i < ARRAY_LEN(roles) && !str_is(p.role, roles[i]))
        i++;
    if (i == ARRAY_LEN(roles))
        return err_set(err, E_INVALID_REQUEST,
                       "messages[%zu]: 'role' should be system, developer, "
                       "user, assistant or tool",
                       x->at);
    if (has_more(v))
        return read_whole(x, p.role, v, err);
    if (json_type(content) == JSON_ARRAY)
        return read_pieces(x, p.role, content, err);
    if (json_to_str(content, &p.data))
        return add_part(x, &p, err);
    return err_set(err, E_INVALID_REQUEST,
                   "messages[%zu]: 'content' is %s, it should be a text or a "
                   "list of parts",
                   x->at, json_type_name(json_type(content)));
}

static size_t count_parts(struct json v)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        struct json content = json_get(it.value, "content");
        n += json_count(content) > 1 ? json_count(content) : 1;
    }
    return n < FRAME_PARTS_MAX ? n : FRAME_PARTS_MAX;
}

int messages_read(struct json v, struct arena *a, struct messages *ret,
                  struct err *err)
{
    struct reading x = {.a = a, .room = count_parts(v)};
    int r = 0;
    if (json_type(v) != JSON_ARRAY || json_count(v) == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "'messages' should be a list with one message or more");
    x.item.parts = arena_alloc(a, x.room, sizeof(*x.item.parts));
    x.is.item = arena_alloc(a, 1, sizeof(*x.is.item));
    if (!x.item.parts || !x.is.item)
        return no_memory(err);
    for (struct json_iter it = json_iter(v); r == 0 && json_next(&it); x.at++)
        r = read_message(&x, it.value, err);
    if (r < 0)
        return r;
    *x.is.item = x.item;
    *ret = x.is;
    return 0;
}
