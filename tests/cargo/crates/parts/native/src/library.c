/* What programs in C ask of their library, and Rust does not: files by streams, jumps, words, dates, wide characters. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static jmp_buf place;

static int deeper(int n) {
  if (n == 0) longjmp(place, 42);
  return deeper(n - 1) + 1;
}

/* A program may have its own function of a name that C's library has too. */
size_t strlcat(char *to, const char *from, size_t room) { return room + (to == from); }

#ifdef OWN_HEAP
/* But not its own heap: blocks of the library's would be freed there. */
void *malloc(size_t size) { return size ? NULL : &place; }
#endif

/* What is in a buffer when the program ends is written then. */
static void last(void) { printf("at the end"); }

/* The line of the first thing that is not as it should be; 0 if there is none. */
#define CHECK(condition) do { if (!(condition)) return __LINE__; } while (0)

int library(void) {
  volatile int before = 1;
  int jumped = setjmp(place);
  if (jumped == 0) {
    before = 2;
    deeper(10);
  }
  CHECK(jumped == 42 && before == 2);

  FILE *file = fopen("/tmp/library.txt", "w+");
  CHECK(file);
  for (int i = 0; i < 1000; i++) CHECK(fprintf(file, "line %d, %.1f\n", i, i / 2.0) > 0);
  CHECK(fseek(file, 0, SEEK_SET) == 0);
  char *line = NULL;
  size_t room = 0;
  CHECK(getline(&line, &room, file) == 12 && strcmp(line, "line 0, 0.0\n") == 0);
  int number;
  float half;
  char word[8];
  for (int i = 1; i < 1000; i++) {
    CHECK(fscanf(file, "%7[a-z] %d, %f\n", word, &number, &half) == 3);
    CHECK(number == i && half * 2 == i && strcmp(word, "line") == 0);
  }
  CHECK(getc_unlocked(file) == EOF && feof_unlocked(file) && !ferror(file));
  rewind(file);
  CHECK(getc_unlocked(file) == 'l' && ungetc('L', file) == 'L' && fgets(word, 6, file));
  CHECK(strcmp(word, "Line ") == 0 && ftell(file) == 5);
  CHECK(fseek(file, 0, SEEK_END) == 0 && putc_unlocked('!', file) == '!' && fclose(file) == 0);
  CHECK((file = fopen("/tmp/library.txt", "rb")) && fseek(file, -2, SEEK_END) == 0);
  CHECK(fread(word, 1, 8, file) == 2 && memcmp(word, "\n!", 2) == 0 && fclose(file) == 0);
  CHECK(remove("/tmp/library.txt") == 0 && !fopen("/tmp/library.txt", "r") && errno == ENOENT);
  CHECK(!popen("ls", "r") && errno == ENOSYS);
  CHECK(dprintf(1, "%s", "") == 0);
  CHECK((file = tmpfile()) && fputs("x", file) >= 0 && fclose(file) == 0);
  free(line);

  CHECK(strlcat(word, "x", 7) == 7);
  char text[] = "one, two";
  CHECK(strcmp(strtok(text, ", "), "one") == 0 && strcmp(strtok(NULL, ", "), "two") == 0);
  CHECK(asprintf(&line, "%d%s", 4, "2") == 2 && strcmp(line, "42") == 0);
  free(line);
  struct tm tm = {.tm_year = 100, .tm_mon = 1, .tm_mday = 30};
  CHECK(timegm(&tm) == 951868800 && strftime(text, sizeof text, "%F", &tm) == 0);
  CHECK(strftime(word, sizeof word, "%b %e", &tm) == 6 && strcmp(word, "Mar  1") == 0);
  wchar_t wide[8];
  CHECK(mbstowcs(wide, "wide", 8) == 4 && wcscmp(wide, L"wide") == 0 && isalpha('x') && clock() > 0);
  struct in_addr address;
  CHECK(inet_pton(AF_INET, "192.0.2.1", &address) == 1 && ntohl(address.s_addr) == 0xc0000201);

  return atexit(last) ? __LINE__ : 0;
}
