/* cli/environment.h - what Hugging Face's variables say in the caller's
 * environment. The daemon has its own. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H
#include "base/buf.h"
#include "cli/client.h"

enum { TOKEN_MAX = 4096 };

/* The caller's token into token: HF_TOKEN, else the file that huggingface_hub
 * keeps; empty when there is none (a file that cannot be read counts as none).
 * Says on standard error where the daemon's Hub or cache is another one than
 * the caller's variables name; to another Hub the token does not go. token
 * NULL: none is wanted. */
int environment_hub(struct client *c, struct buf *token,
                    struct err *err) MUST_CHECK;

#endif
