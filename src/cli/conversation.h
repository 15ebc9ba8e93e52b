/* cli/conversation.h - texts that a model goes on writing: a conversation,
 * whose turns are the texts that come, or single prompts. Printed as they come.
 */
#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H
#include "cli/client.h"
#include "cli/lines.h"

/* chat: one conversation (the model has a chat template); otherwise each text
 * is a prompt of its own. --json prints each whole answer. */
int conversation_run(struct client *c, const struct invocation *in,
                     struct lines *lines, bool chat,
                     struct err *err) MUST_CHECK;

#endif
