/* api/messages.h - the messages of a chat, as OpenAI has them, to the parts of
 * an item (ipc/task.h, chat).
 *
 * Texts stay slices of the JSON document, pictures and sound are decoded into
 * the arena: both must live until the job has been submitted.
 */
#ifndef API_MESSAGES_H
#define API_MESSAGES_H
#include "api/inputs.h"

struct messages {
    struct item *item;
    bool image, audio; /* some of its parts are */
};
/* Addresses of pictures are refused: nothing is fetched for a client. */
int messages_read(struct json v, struct arena *a, struct messages *ret,
                  struct err *err) MUST_CHECK;

#endif
