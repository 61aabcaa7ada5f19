static int ready;

__attribute__((constructor)) static void prepare(void) { ready = 1; }

int constructed(void) { return ready; }

int twice(int n) { return 2 * n; }
