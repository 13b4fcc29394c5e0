/* Verifies chains of client certificates with mbedTLS: see README.md in this folder. */
#include <mbedtls/x509_crt.h>
#include <mbedtls/error.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static time_t at;

/* mbedTLS asks the C library for the time; this program answers. */
time_t time(time_t *out) {
    if (out) *out = at;
    return at;
}

static int read_all(mbedtls_x509_crt *into, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s.bin", name);
    FILE *in = fopen(path, "rb");
    if (!in) return 1;
    unsigned char size[4], der[1 << 16];
    int failed = 0;
    while (!failed && fread(size, 1, 4, in) == 4) {
        size_t n = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
        if (n > sizeof der || fread(der, 1, n, in) != n) failed = 1;
        else failed = mbedtls_x509_crt_parse_der(into, der, n);
    }
    fclose(in);
    return failed;
}

static void verify(const char *roots, const char *chain, char *said, size_t size) {
    mbedtls_x509_crt anchors, certs;
    mbedtls_x509_crt_init(&anchors);
    mbedtls_x509_crt_init(&certs);
    uint32_t flags = 0;
    int err = read_all(&anchors, roots);
    if (!err) err = read_all(&certs, chain);
    if (err) {
        snprintf(said, size, "it cannot be read (-0x%04x)", (unsigned)-err);
    } else if (mbedtls_x509_crt_verify_with_profile(&certs, &anchors, NULL, &mbedtls_x509_crt_profile_default, NULL, &flags, NULL, NULL)) {
        mbedtls_x509_crt_verify_info(said, size, "", flags);
        for (char *c = said; *c; c++) if (*c == '\n') *c = ' ';
    } else {
        snprintf(said, size, "ok");
    }
    mbedtls_x509_crt_free(&anchors);
    mbedtls_x509_crt_free(&certs);
}

int main(int argc, char **argv) {
    if (argc == 1) return printf("%s\n", MBEDTLS_VERSION_STRING_FULL) < 0;
    if (argc != 3) return 2;
    at = (time_t)atoll(argv[2]);
    FILE *list = fopen(argv[1], "r");
    if (!list) return 2;
    char line[8192], said[2048];
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        char *number = strtok(line, "\t"), *roots = strtok(NULL, "\t"), *chain = strtok(NULL, "\t");
        verify(roots, chain, said, sizeof said);
        printf("%s\t%s\n", number, said);
    }
    fclose(list);
    return 0;
}
