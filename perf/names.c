#include "perf/names.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* First the printed name (nccl-tests'), then what else is understood. */
static const char *const type_names[trncclNumTypes][6] = {
    [trncclInt8] = {"int8", "char", "i8"},
    [trncclUint8] = {"uint8", "u8"},
    [trncclInt32] = {"int32", "int", "i32"},
    [trncclUint32] = {"uint32", "u32"},
    [trncclInt64] = {"int64", "i64"},
    [trncclUint64] = {"uint64", "u64"},
    [trncclFloat16] = {"half", "float16", "fp16", "f16"},
    [trncclFloat32] = {"float", "float32", "fp32", "f32"},
    [trncclFloat64] = {"double", "float64", "fp64", "f64"},
    [trncclBfloat16] = {"bfloat16", "bf16"},
    [trncclFloat8e4m3] = {"f8e4m3", "float8e4m3", "fp8e4m3", "e4m3", "fp8_e4m3"},
    [trncclFloat8e5m2] = {"f8e5m2", "float8e5m2", "fp8e5m2", "e5m2", "fp8_e5m2"},
    [trncclInt16] = {"int16", "i16"},
    [trncclUint16] = {"uint16", "u16"},
};

static const char *const op_names[NAMES_NUM_OPS] = {
    [trncclSum] = "sum", [trncclProd] = "prod",        [trncclMax] = "max",
    [trncclMin] = "min", [trncclAvg] = "avg",          [trncclBand] = "band",
    [trncclBor] = "bor", [trncclBxor] = "bxor",        [trncclLand] = "land",
    [trncclLor] = "lor", [NAMES_OP_MULSUM] = "mulsum",
};

const char *names_type(int type)
{
    return type >= 0 && type < trncclNumTypes ? type_names[type][0] : "none";
}

const char *names_op(int op)
{
    return op >= 0 && op < NAMES_NUM_OPS ? op_names[op] : "none";
}

int names_type_find(const char *name)
{
    for (int type = 0; type < trncclNumTypes; type++) {
        for (int k = 0; k < 6 && type_names[type][k]; k++) {
            if (strcasecmp(name, type_names[type][k]) == 0)
                return type;
        }
    }
    return -1;
}

int names_op_find(const char *name)
{
    for (int op = 0; op < NAMES_NUM_OPS; op++) {
        if (strcasecmp(name, op_names[op]) == 0)
            return op;
    }
    return -1;
}

size_t names_type_nbytes(int type)
{
    static const unsigned char nbytes[trncclNumTypes] = {
        [trncclInt8] = 1,       [trncclUint8] = 1,      [trncclInt16] = 2,
        [trncclUint16] = 2,     [trncclInt32] = 4,      [trncclUint32] = 4,
        [trncclInt64] = 8,      [trncclUint64] = 8,     [trncclFloat16] = 2,
        [trncclBfloat16] = 2,   [trncclFloat32] = 4,    [trncclFloat64] = 8,
        [trncclFloat8e4m3] = 1, [trncclFloat8e5m2] = 1,
    };
    return type >= 0 && type < trncclNumTypes ? nbytes[type] : 0;
}

bool names_type_is_float(int type)
{
    switch (type) {
    case trncclFloat16:
    case trncclBfloat16:
    case trncclFloat32:
    case trncclFloat64:
    case trncclFloat8e4m3:
    case trncclFloat8e5m2:
        return true;
    default:
        return false;
    }
}

bool names_op_takes(int op, int type)
{
    bool integers_only = op >= trncclBand && op <= trncclLor;
    return !(integers_only && names_type_is_float(type));
}

enum names_size names_size_parse(const char *text, size_t *nbytes)
{
    const char *p = text;
    while (isspace((unsigned char)*p))
        p++;
    if (!isdigit((unsigned char)*p) && *p != '.')
        return NAMES_SIZE_NONE;
    char *end;
    double number = strtod(p, &end); /* infinite if it is beyond a double */
    if (end == p)
        return NAMES_SIZE_NONE;
    double unit = 1;
    switch (toupper((unsigned char)*end)) {
    case 'K':
        unit = 1024.0;
        break;
    case 'M':
        unit = 1024.0 * 1024;
        break;
    case 'G':
        unit = 1024.0 * 1024 * 1024;
        break;
    case 'T':
        unit = 1024.0 * 1024 * 1024 * 1024;
        break;
    }
    if (unit > 1)
        end++;
    if (strcasecmp(end, "B") != 0 && (unit == 1 || strcasecmp(end, "iB") != 0) && *end)
        return NAMES_SIZE_NONE;
    double total = number * unit;
    if (total >= 9.0e18)
        return NAMES_SIZE_HUGE;
    /* A double holds every whole number below 2^53; beyond that read exactly. */
    *nbytes = unit == 1 && total > 9.0e15 ? (size_t)strtoull(p, NULL, 10) : (size_t)total;
    return NAMES_SIZE_GOOD;
}

char *names_size_format(size_t nbytes, char *text, size_t text_nbytes)
{
    static const char suffix[] = " KMGT";
    double value = (double)nbytes;
    int unit = 0;
    while (value >= 1024 && suffix[unit + 1]) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, text_nbytes, "%zu", nbytes);
    else
        snprintf(text, text_nbytes, "%.4g%c", value, suffix[unit]);
    return text;
}

int names_distance(const char *a, const char *b)
{
    enum { MAX = 48 };
    int na = (int)strnlen(a, MAX), nb = (int)strnlen(b, MAX);
    int row[3][MAX + 1];
    for (int j = 0; j <= nb; j++)
        row[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            int ca = tolower((unsigned char)a[i - 1]);
            int cb = tolower((unsigned char)b[j - 1]);
            int best = up[j - 1] + (ca != cb);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && upup[j - 2] + 1 < best)
                best = upup[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}
