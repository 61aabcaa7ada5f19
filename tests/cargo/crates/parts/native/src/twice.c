/* One of two, which the processor decides. */
__attribute__((target_clones("default", "avx2"))) int twice(int n) { return 2 * n; }

static int ready;

__attribute__((constructor)) static void prepare(void) { ready = twice(1) - 1; }

int constructed(void) { return ready; }
