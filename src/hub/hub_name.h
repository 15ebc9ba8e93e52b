/* hub/hub_name.h - what a model is called on the Hub: [org/]name[@revision].
 *
 * The rules are huggingface_hub's, in ASCII: each segment 1 to 96 of
 * [A-Za-z0-9_.-], beginning and ending with a letter, a digit or '_'; neither
 * ".." nor "--" anywhere; no ".git" at the end. A revision is a branch, a tag
 * or a commit. Nothing that passes can leave a folder that it is joined to. Any
 * thread.
 */
#ifndef HUB_HUB_NAME_H
#define HUB_HUB_NAME_H
#include "base/err.h"
#include "base/str.h"

enum {
    HUB_ID_MAX = 2 * 96 + 2,         /* "org/name" and its NUL */
    HUB_FOLDER_MAX = 8 + 2 * 96 + 3, /* "models--org--name" and its NUL */
    HUB_REVISION_MAX = 256,
    HUB_COMMIT_MAX = 41,
};

struct hub_name {
    char id[HUB_ID_MAX];             /* "org/name", or "name" */
    char revision[HUB_REVISION_MAX]; /* "main" when none was given */
};

int hub_name_parse(struct str text, struct hub_name *ret,
                   struct err *err) MUST_CHECK;
/* [A-Za-z0-9._+-] in segments between '/', none beginning or ending with '.';
 * no "..". Writes it to out[HUB_REVISION_MAX]. */
int hub_revision_parse(struct str text, char *out, struct err *err) MUST_CHECK;
/* 40 lower-case hexadecimal digits. */
bool hub_is_commit(struct str text);
/* "models--org--name" into out[HUB_FOLDER_MAX]. */
void hub_folder_name(const char *id, char *out);
/* The id that a folder name stands for, into out[HUB_ID_MAX]; false when it is
 * no model's folder. */
bool hub_folder_id(struct str folder, char *out);

#endif
