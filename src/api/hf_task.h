/* api/hf_task.h - the tasks of the Hugging Face Inference API: what "inputs" is
 * and how the answer is wrapped, in one table (api/hf_tasks.def).
 *
 * What an item of each task holds is in ipc/task.h.
 */
#ifndef API_HF_TASK_H
#define API_HF_TASK_H
#include "api/infer.h"

/* What a request brings. Lives until the job has been submitted. */
struct hf_source {
    struct json inputs;     /* of a JSON body */
    struct json parameters; /* JSON_NONE: none */
    bool raw;               /* the body is the input: bytes */
    struct str bytes, media;
    struct arena *arena;
};

/* How the items' results become the answer. */
enum hf_answer {
    HF_LIST,   /* one input: its result; a list of inputs: a list of results */
    HF_ALWAYS, /* a list of results even of one input */
    HF_SCORES, /* the numbers of all items, in one list */
    HF_SOUND,  /* the bytes, as they are */
};

struct hf_task {
    const char *name;
    int (*read)(const struct hf_source *from, struct inputs *ret,
                struct err *err);
    enum hf_answer answer;
    /* A result as JSON; NULL: as it is. */
    void (*put)(const struct infer *x, struct jsonw *w,
                const struct wire_node *result);
};

/* NULL: no such task here. Other names that clients use are understood. */
const struct hf_task *hf_task_find(struct str name);
extern const struct hf_task hf_tasks[];
extern const size_t hf_n_tasks;

/* Writes of what kind. */
void hf_write(const struct hf_task *task, struct infer_job *job);

/* ---- hf_inputs.c: the readers ---- */
int hf_read_vectors(const struct hf_source *from, struct inputs *ret,
                    struct err *err) MUST_CHECK; /* texts, or tokens */
int hf_read_similar(const struct hf_source *from, struct inputs *ret,
                    struct err *err) MUST_CHECK;
int hf_read_texts(const struct hf_source *from, struct inputs *ret,
                  struct err *err) MUST_CHECK;
int hf_read_pairs(const struct hf_source *from, struct inputs *ret,
                  struct err *err) MUST_CHECK; /* texts, or {text, text_pair} */
int hf_read_questions(const struct hf_source *from, struct inputs *ret,
                      struct err *err) MUST_CHECK;
int hf_read_tables(const struct hf_source *from, struct inputs *ret,
                   struct err *err) MUST_CHECK;
int hf_read_media(const struct hf_source *from, struct inputs *ret,
                  struct err *err) MUST_CHECK;
int hf_read_couples(const struct hf_source *from, struct inputs *ret,
                    struct err *err) MUST_CHECK; /* two pictures */
int hf_read_documents(const struct hf_source *from, struct inputs *ret,
                      struct err *err) MUST_CHECK;
int hf_read_messages(const struct hf_source *from, struct inputs *ret,
                     struct err *err) MUST_CHECK; /* {image, text} */

/* ---- hf_params.c ---- */
/* The parameters of a request as the encoded map of a job, into out. */
int hf_params(const struct hf_task *task, struct json body, struct buf *out,
              struct err *err) MUST_CHECK;

#endif
