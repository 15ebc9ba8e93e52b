/* cli/environment.h - what Hugging Face's variables say in the caller's
 * environment. The daemon has its own. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H
#include "base/buf.h"
#include "cli/client.h"

enum { TOKEN_MAX = 4096 };

/* HF_TOKEN, else the file that huggingface_hub keeps, into out; empty when
 * there is none. A file that cannot be read counts as none. */
void environment_token(struct buf *out);

/* Says on standard error where the daemon's Hub or cache is another one than
 * the caller's variables name. */
int environment_compare(struct client *c, struct err *err) MUST_CHECK;

#endif
