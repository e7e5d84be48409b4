#include "topo/json_place.h"

#include <stdbool.h>
#include <string.h>

/* Behind the string that begins at text (a quote). */
static const char *skip_string(const char *text)
{
    for (text++; *text != '\0' && *text != '"'; text++)
        if (*text == '\\' && text[1] != '\0')
            text++;
    return text + (*text == '"');
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* Behind a value. Commas and colons inside brackets need no care: depth counts. */
static const char *skip_value(const char *text)
{
    int depth = 0;
    do {
        text = skip_blanks(text);
        if (*text == '\0')
            return text;
        if (*text == '"') {
            text = skip_string(text);
            continue;
        }
        if (*text == '{' || *text == '[')
            depth++;
        if (*text == '}' || *text == ']')
            depth--;
        bool scalar = strchr("{}[],:", *text) == NULL;
        text += scalar ? strcspn(text, " \t\r\n{}[],:\"") : 1;
    } while (depth > 0);
    return text;
}

/* The value one step into the one at text, or NULL. */
static const char *step_into(const char *text, const struct json_step *step)
{
    if (*text != (step->key != NULL ? '{' : '['))
        return NULL;
    text = skip_blanks(text + 1);
    for (size_t i = 0; *text != '}' && *text != ']' && *text != '\0'; i++) {
        bool here = step->key == NULL && i == step->index;
        if (step->key != NULL) {
            size_t n = strlen(step->key);
            here = strncmp(text + 1, step->key, n) == 0 && text[n + 1] == '"';
            text = skip_blanks(skip_string(text));
            text = skip_blanks(text + (*text == ':'));
        }
        if (here)
            return text;
        text = skip_blanks(skip_value(text));
        text = skip_blanks(text + (*text == ','));
    }
    return NULL;
}

int json_place_line(const char *text, const struct json_step *steps, int n)
{
    const char *at = skip_blanks(text);
    for (int i = 0; i < n; i++) {
        const char *inner = step_into(at, &steps[i]);
        if (inner == NULL)
            break;
        at = inner;
    }
    int line = 1;
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return line;
}

int json_place_too_deep(const char *text, size_t nbytes, int most)
{
    int depth = 0, line = 1;
    bool inside = false;
    for (size_t i = 0; i < nbytes; i++) {
        line += text[i] == '\n';
        if (inside && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            inside = !inside;
        else if (!inside && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!inside && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > most)
            return line;
    }
    return 0;
}
