/* cli/verify_texts.h - what berth verify asks when it is given no texts. */
#ifndef CLI_VERIFY_TEXTS_H
#define CLI_VERIFY_TEXTS_H

extern const char *const verify_texts[]; /* NULL-terminated */

#endif
