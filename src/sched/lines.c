#include "sched/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* By hand: the C locale's functions depend on the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
}

static void skip_space(struct lines *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\r'))
        l->at++;
    if (l->at < l->end && *l->at == '#')
        while (l->at < l->end && *l->at != '\n')
            l->at++;
}

bool lines_at_end(struct lines *l)
{
    skip_space(l);
    return l->at == l->end || *l->at == '\n';
}

bool lines_next(struct lines *l)
{
    if (l->line == 0)
        l->line = 1;
    while (lines_at_end(l)) {
        if (l->at == l->end)
            return false;
        l->at++;
        l->line++;
    }
    return true;
}

trncclResult_t lines_bad(int32_t line, const char *format, ...)
{
    char why[ERROR_TEXT_BYTES - 32];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return error_set(trncclInvalidArgument, "line %d: %s", line, why);
}

/* What stands at the cursor, for a sentence. */
static const char *found(struct lines *l, char text[LINES_WORD_BYTES])
{
    if (lines_at_end(l))
        return "the end of the line";
    size_t n = 0;
    while (l->at + n < l->end && is_word(l->at[n]) && n + 3 < LINES_WORD_BYTES)
        n++;
    if (n == 0) {
        unsigned char c = (unsigned char)*l->at;
        snprintf(text, LINES_WORD_BYTES, c > ' ' && c < 127 ? "\"%c\"" : "byte %d", c);
    } else {
        snprintf(text, LINES_WORD_BYTES, "\"%.*s\"", (int)n, l->at);
    }
    return text;
}

trncclResult_t lines_word(struct lines *l, const char *what, char word[LINES_WORD_BYTES])
{
    char text[LINES_WORD_BYTES];
    skip_space(l);
    size_t n = 0;
    while (l->at + n < l->end && is_word(l->at[n]))
        n++;
    if (n == 0)
        return lines_bad(l->line, "%s; expected %s", found(l, text), what);
    if (n >= LINES_WORD_BYTES)
        return lines_bad(l->line, "a word of %zu letters; expected %s of at most %d", n,
                         what, LINES_WORD_BYTES - 1);
    memcpy(word, l->at, n);
    word[n] = '\0';
    l->at += n;
    return trncclSuccess;
}

trncclResult_t lines_number(struct lines *l, const char *what, int32_t min, int32_t max,
                            int32_t *value)
{
    char text[LINES_WORD_BYTES];
    skip_space(l);
    int64_t sum = 0;
    const char *c = l->at;
    for (; c < l->end && is_digit(*c) && sum <= INT32_MAX; c++)
        sum = sum * 10 + (*c - '0');
    if (c == l->at)
        return lines_bad(l->line, "%s; expected %s", found(l, text), what);
    if (sum < min || sum > max)
        return lines_bad(l->line, "%s is %s; expected %d to %d", what, found(l, text),
                         min, max);
    l->at = c;
    *value = (int32_t)sum;
    return trncclSuccess;
}

bool lines_accept_word(struct lines *l, const char *word)
{
    size_t n = strlen(word);
    skip_space(l);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, word, n) != 0 ||
        (l->at + n < l->end && is_word(l->at[n])))
        return false;
    l->at += n;
    return true;
}

bool lines_accept(struct lines *l, const char *signs)
{
    size_t n = strlen(signs);
    skip_space(l);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, signs, n) != 0)
        return false;
    l->at += n;
    return true;
}

trncclResult_t lines_expect_word(struct lines *l, const char *word)
{
    char text[LINES_WORD_BYTES];
    return lines_accept_word(l, word)
               ? trncclSuccess
               : lines_bad(l->line, "%s; expected \"%s\"", found(l, text), word);
}

trncclResult_t lines_expect(struct lines *l, const char *signs)
{
    char text[LINES_WORD_BYTES];
    return lines_accept(l, signs)
               ? trncclSuccess
               : lines_bad(l->line, "%s; expected \"%s\"", found(l, text), signs);
}

trncclResult_t lines_expect_end(struct lines *l)
{
    char text[LINES_WORD_BYTES];
    return lines_at_end(l)
               ? trncclSuccess
               : lines_bad(l->line, "%s; expected the end of the line", found(l, text));
}
