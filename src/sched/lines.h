/* Reads a text word by word within lines, and says what was wrong on which line. A word
 * is of letters, digits, '_' and '-'; a number of digits; '#' begins a comment. */
#ifndef TRNCCL_SCHED_LINES_H
#define TRNCCL_SCHED_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

#define LINES_WORD_BYTES 64

/* Set `at` and `end`, the rest zero; both borrowed. */
struct lines {
    const char *at, *end;
    int32_t line; /* from 1; 0 before lines_next */
};

/* Goes to the next line that has anything on it, from the end of the one before; false at
 * the end of the text. */
bool lines_next(struct lines *l);
/* Whether nothing but space or a comment is left on the line. */
bool lines_at_end(struct lines *l);
/* Sets the error "line N: ..." and returns trncclInvalidArgument. */
trncclResult_t lines_bad(int32_t line, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* The next word; `what` says what it was expected to be. */
trncclResult_t lines_word(struct lines *l, const char *what, char word[LINES_WORD_BYTES]);
/* The next number, within [min, max]. */
trncclResult_t lines_number(struct lines *l, const char *what, int32_t min, int32_t max,
                            int32_t *value);
/* Takes the word, or these signs, if they come next. */
bool lines_accept_word(struct lines *l, const char *word);
bool lines_accept(struct lines *l, const char *signs);
/* The same, and an error if they do not. */
trncclResult_t lines_expect_word(struct lines *l, const char *word);
trncclResult_t lines_expect(struct lines *l, const char *signs);
trncclResult_t lines_expect_end(struct lines *l);

#endif
