/* libFuzzer entry for the schedule parser. What parses must print to a text that parses
 * to the same text again, and must be drawn or refused, without a crash. Build it from
 * the C files of src/sched and src/util with clang -fsanitize=fuzzer,address,undefined
 * -D_GNU_SOURCE -Iinclude -Isrc -I. The unit test test_sched_text runs the same entry on
 * mutated schedules. */
#include <stdlib.h>
#include <string.h>

#include "sched/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static char *printed(struct sched *const *ranks, int32_t nranks, size_t *nbytes)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, nbytes);
    if (!file)
        abort();
    if (text_print(file, ranks, nranks) != trncclSuccess || fclose(file) != 0)
        abort();
    return text;
}

static void destroy(struct sched **ranks, int32_t nranks)
{
    for (int32_t r = 0; r < nranks; r++)
        sched_destroy(ranks[r]);
    free(ranks);
}

static void draw(struct sched *const *ranks, int32_t nranks)
{
    char *text = NULL;
    size_t nbytes;
    FILE *file = open_memstream(&text, &nbytes);
    if (!file)
        abort();
    trncclResult_t drawn = text_draw(file, ranks, nranks);
    if (drawn != text_dot(file, ranks, nranks))
        abort(); /* both or neither */
    fclose(file);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct sched **ranks, **again;
    int32_t nranks, nagain;
    if (text_parse((const char *)data, nbytes, &ranks, &nranks) != trncclSuccess)
        return 0;
    size_t nfirst, nsecond;
    char *first = printed(ranks, nranks, &nfirst);
    if (text_parse(first, nfirst, &again, &nagain) != trncclSuccess)
        abort();
    char *second = printed(again, nagain, &nsecond);
    if (nfirst != nsecond || memcmp(first, second, nfirst) != 0)
        abort();
    draw(ranks, nranks);
    destroy(ranks, nranks);
    destroy(again, nagain);
    free(first);
    free(second);
    return 0;
}
