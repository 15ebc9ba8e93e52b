/* base/json.cc - simdjson and std::to_chars behind base/json.h.
 *
 * The tree's only C++ file. A struct json is a dom::element in other clothes:
 * both are a pointer and an index, copied byte for byte.
 */
#include "base/json.h"
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

using namespace simdjson;

struct json_doc {
    dom::parser parser;
    dom::element root;
};

static_assert(sizeof(dom::element) == sizeof(struct json),
              "an element is a pointer and an index");

static struct json wrap(dom::element e)
{
    struct json v;
    std::memcpy(&v, &e, sizeof(v));
    return v;
}

static dom::element unwrap(struct json v)
{
    dom::element e;
    std::memcpy(static_cast<void *>(&e), &v, sizeof(v));
    return e;
}

static const struct json none = {nullptr, 0};

/* Only for an element known to be one. */
static dom::array array_of(dom::element e)
{
    dom::array a;
    return e.get(a) ? dom::array() : a;
}

static dom::object object_of(dom::element e)
{
    dom::object o;
    return e.get(o) ? dom::object() : o;
}

/* Keys of one object, sorted; equal neighbours are duplicates. */
static bool has_duplicate(dom::object o, std::vector<std::string_view> &keys)
{
    keys.clear();
    for (auto field : o)
        keys.push_back(field.key);
    if (keys.size() < 2)
        return false;
    std::sort(keys.begin(), keys.end());
    return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

/* Depth is bounded by the parser, so an explicit stack of elements is too. */
static bool any_duplicate(dom::element root)
{
    std::vector<dom::element> todo{root};
    std::vector<std::string_view> keys;
    while (!todo.empty()) {
        dom::element e = todo.back();
        todo.pop_back();
        if (e.is_array())
            for (dom::element c : array_of(e))
                if (c.is_array() || c.is_object())
                    todo.push_back(c);
        if (!e.is_object())
            continue;
        dom::object o = object_of(e);
        if (has_duplicate(o, keys))
            return true;
        for (auto field : o)
            if (field.value.is_array() || field.value.is_object())
                todo.push_back(field.value);
    }
    return false;
}

static const char *reason(error_code code)
{
    switch (code) {
    case DEPTH_ERROR:
        return "nested too deep";
    case UTF8_ERROR:
        return "not valid UTF-8";
    case EMPTY:
        return "empty";
    case NUMBER_ERROR:
        return "a number in it is malformed or out of range";
    case STRING_ERROR:
        return "a string in it is malformed";
    case MEMALLOC:
        return "out of memory";
    default:
        return "malformed";
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past the string whose opening quote is at `at`. */
static size_t skip_string(std::string_view s, size_t at)
{
    for (at++; at < s.size() && s[at] != '"'; at++)
        at += s[at] == '\\';
    return at + 1;
}

/* Whether the digits [from, to) are a whole number beyond 64 bits. */
static bool too_wide(std::string_view s, size_t from, size_t to)
{
    uint64_t u;
    bool negative = from > 0 && s[from - 1] == '-';
    bool fraction = to < s.size() && (s[to] == '.' || (s[to] | 32) == 'e');
    if (fraction || (from > 0 && (is_digit(s[from - 1]) || s[from - 1] == '.')))
        return false;
    auto r = std::from_chars(s.data() + from, s.data() + to, u);
    return r.ec != std::errc() || (negative && u > (uint64_t)1 << 63);
}

/* simdjson has no whole numbers beyond 64 bits, and Transformers writes "no
 * limit" as one: ".0" makes it a double. False: there is none. */
static bool widen(std::string_view s, std::string &out)
{
    size_t done = 0;
    for (size_t at = 0; at < s.size();) {
        if (s[at] == '"') {
            at = skip_string(s, at);
            continue;
        }
        size_t from = at++;
        if (!is_digit(s[from]))
            continue;
        while (at < s.size() && is_digit(s[at]))
            at++;
        if (!too_wide(s, from, at))
            continue;
        out.append(s, done, at - done).append(".0");
        done = at;
    }
    if (done > 0)
        out.append(s, done);
    return done > 0;
}

static error_code parse(struct json_doc *doc, struct str text, int max_depth)
{
    std::string_view s(text.p ? text.p : "", text.n);
    std::string wide;
    error_code code =
        doc->parser.parse(s.data(), s.size(), true).get(doc->root);
    if (!code || !widen(s, wide))
        return code;
    if (doc->parser.allocate(wide.size() + 1, (size_t)max_depth))
        return MEMALLOC;
    return doc->parser.parse(wide.data(), wide.size(), true).get(doc->root);
}

extern "C" struct json_doc *json_parse(struct str text, size_t max_bytes,
                                       int max_depth, struct err *err)
{
    if (text.n > max_bytes) {
        err_set(err, E_TOO_LARGE, "JSON of %zu bytes is over its limit of %zu",
                text.n, max_bytes);
        return nullptr;
    }
    struct json_doc *doc = new (std::nothrow) json_doc;
    if (!doc || doc->parser.allocate(text.n + 1, (size_t)max_depth)) {
        delete doc;
        err_set(err, E_INSUFFICIENT_MEMORY, "out of memory while parsing JSON");
        return nullptr;
    }
    error_code code = parse(doc, text, max_depth);
    if (!code && !any_duplicate(doc->root))
        return doc;
    err_set(err, E_INVALID_REQUEST, "invalid JSON: %s",
            code ? reason(code) : "a key appears twice in one object");
    delete doc;
    return nullptr;
}

extern "C" void json_free(struct json_doc *doc)
{
    delete doc;
}

extern "C" struct json json_root(const struct json_doc *doc)
{
    return wrap(doc->root);
}

extern "C" enum json_type json_type(struct json v)
{
    if (!v.tape)
        return JSON_NONE;
    switch (unwrap(v).type()) {
    case dom::element_type::ARRAY:
        return JSON_ARRAY;
    case dom::element_type::OBJECT:
        return JSON_OBJECT;
    case dom::element_type::INT64:
        return JSON_INT;
    case dom::element_type::UINT64:
        return JSON_UINT;
    case dom::element_type::DOUBLE:
        return JSON_DOUBLE;
    case dom::element_type::STRING:
        return JSON_STRING;
    case dom::element_type::BOOL:
        return JSON_BOOL;
    default:
        return JSON_NULL;
    }
}

extern "C" const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {
        "missing",  "null",     "a boolean", "an integer", "a large integer",
        "a number", "a string", "an array",  "an object"};
    return names[t];
}

extern "C" struct json json_get_n(struct json object, struct str key)
{
    dom::element e;
    if (json_type(object) != JSON_OBJECT ||
        object_of(unwrap(object)).at_key(std::string_view(key.p, key.n)).get(e))
        return none;
    return wrap(e);
}

extern "C" struct json json_get(struct json object, const char *key)
{
    return json_get_n(object, str_of(key));
}

extern "C" size_t json_count(struct json v)
{
    if (json_type(v) == JSON_ARRAY) {
        size_t n = 0;
        for (dom::element e : array_of(unwrap(v))) {
            (void)e;
            n++;
        }
        return n;
    }
    size_t n = 0;
    if (json_type(v) == JSON_OBJECT)
        for (auto field : object_of(unwrap(v))) {
            (void)field;
            n++;
        }
    return n;
}

/* The iterator keeps simdjson's own two iterators as handles: next_ is where it
 * stands, value (before the first step) where it ends. */
static_assert(sizeof(dom::array::iterator) == sizeof(struct json), "");
static_assert(sizeof(dom::object::iterator) == sizeof(struct json), "");

template <typename T> static struct json keep(T it)
{
    struct json v;
    std::memcpy(&v, &it, sizeof(v));
    return v;
}

template <typename T> static void restore(T &it, struct json v)
{
    std::memcpy(static_cast<void *>(&it), &v, sizeof(v));
}

extern "C" struct json_iter json_iter(struct json v)
{
    struct json_iter it = {none, {nullptr, 0}, none, 0, false};
    it.left_ = json_count(v);
    if (it.left_ == 0)
        return it;
    it.object_ = json_type(v) == JSON_OBJECT;
    if (it.object_)
        it.next_ = keep(object_of(unwrap(v)).begin());
    else
        it.next_ = keep(array_of(unwrap(v)).begin());
    return it;
}

extern "C" bool json_next(struct json_iter *it)
{
    if (it->left_ == 0)
        return false;
    it->left_--;
    if (it->object_) {
        dom::object::iterator i = dom::object().begin();
        restore(i, it->next_);
        std::string_view key = i.key();
        it->key = {key.data(), key.size()};
        it->value = wrap(i.value());
        ++i;
        it->next_ = keep(i);
    } else {
        dom::array::iterator i = dom::array().begin();
        restore(i, it->next_);
        it->value = wrap(*i);
        ++i;
        it->next_ = keep(i);
    }
    return true;
}

extern "C" bool json_to_str(struct json v, struct str *ret)
{
    std::string_view s;
    if (json_type(v) != JSON_STRING || unwrap(v).get(s))
        return false;
    *ret = {s.data(), s.size()};
    return true;
}

extern "C" bool json_to_int(struct json v, int64_t min, int64_t max,
                            int64_t *ret)
{
    int64_t n;
    double d;
    if (json_type(v) == JSON_INT) {
        if (unwrap(v).get(n))
            return false;
    } else if (json_type(v) == JSON_DOUBLE && !unwrap(v).get(d) && d > -9e15 &&
               d < 9e15 && (double)(int64_t)d == d) {
        n = (int64_t)d;
    } else {
        return false;
    }
    if (n < min || n > max)
        return false;
    *ret = n;
    return true;
}

extern "C" bool json_to_double(struct json v, double *ret)
{
    enum json_type t = json_type(v);
    if (t != JSON_INT && t != JSON_UINT && t != JSON_DOUBLE)
        return false;
    return unwrap(v).get(*ret) == SUCCESS;
}

extern "C" bool json_to_bool(struct json v, bool *ret)
{
    return json_type(v) == JSON_BOOL && unwrap(v).get(*ret) == SUCCESS;
}

extern "C" size_t json_print_double(char *buf, double v)
{
    return (size_t)(std::to_chars(buf, buf + 32, v).ptr - buf);
}

extern "C" size_t json_print_float(char *buf, float v)
{
    return (size_t)(std::to_chars(buf, buf + 32, v).ptr - buf);
}
