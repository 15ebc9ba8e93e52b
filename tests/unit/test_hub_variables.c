#include "base/err.h"
#include "daemon/hub_variables.h"
#include "unit.h"
#include <string.h>

/* "NAME=value" each, until NULL. */
static const char *const *environment;

static char *variable(const char *name)
{
    size_t n = strlen(name);
    for (const char *const *e = environment; *e; e++)
        if (!strncmp(*e, name, n) && (*e)[n] == '=')
            return (char *)*e + n + 1;
    return NULL;
}

static void nothing_set_is_the_hub_itself(void **state)
{
    (void)state;
    environment = (const char *const[]){"HF_ENDPOINT=", "https_proxy=", NULL};
    struct hub_variables v = hub_variables(variable);
    assert_string_equal(v.endpoint, "https://huggingface.co");
    assert_null(v.proxy);
    assert_null(v.no_proxy);
    assert_null(v.ca_file);
    assert_false(v.offline);
}

static void the_way_there_is_read(void **state)
{
    (void)state;
    environment = (const char *const[]){
        "HTTPS_PROXY=http://p:1",   "http_proxy=http://q:2",
        "NO_PROXY=.example",        "SSL_CERT_FILE=/ca.pem",
        "HF_ENDPOINT=http://hub:3", NULL};
    struct hub_variables v = hub_variables(variable);
    assert_string_equal(v.endpoint, "http://hub:3");
    assert_string_equal(v.proxy, "http://q:2");
    assert_string_equal(v.no_proxy, ".example");
    assert_string_equal(v.ca_file, "/ca.pem");
    environment =
        (const char *const[]){"HTTPS_PROXY=http://p:1", "all_proxy=x", NULL};
    assert_string_equal(hub_variables(variable).proxy, "http://p:1");
    environment = (const char *const[]){"all_proxy=x", NULL};
    assert_string_equal(hub_variables(variable).proxy, "x");
}

static void offline_is_what_is_true_in_the_python_library(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        bool offline;
    } is[] = {{"HF_HUB_OFFLINE=1", true},      {"HF_HUB_OFFLINE=True", true},
              {"HF_HUB_OFFLINE=ON", true},     {"HF_HUB_OFFLINE=yes", true},
              {"HF_HUB_OFFLINE=0", false},     {"HF_HUB_OFFLINE=false", false},
              {"HF_HUB_OFFLINE=no", false},    {"HF_HUB_OFFLINE=", false},
              {"TRANSFORMERS_OFFLINE=1", true}};
    for (size_t i = 0; i < ARRAY_LEN(is); i++) {
        const char *const set[] = {is[i].variable, NULL};
        environment = set;
        assert_int_equal(hub_variables(variable).offline, is[i].offline);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_is_the_hub_itself),
        cmocka_unit_test(the_way_there_is_read),
        cmocka_unit_test(offline_is_what_is_true_in_the_python_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
