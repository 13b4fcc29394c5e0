/* Preloaded into certtool, which verifies at no other time than now: see README.md in this folder. */
#include <stdlib.h>
#include <time.h>

time_t time(time_t *out) {
    const char *at = getenv("VERIFY_AT");
    time_t t = at ? (time_t)atoll(at) : 0;
    if (out) *out = t;
    return t;
}
