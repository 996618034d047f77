// What the load client and the upstream share: the clock, files, sockets, and the one form of an SSE event.
#pragma once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define NEVER UINT64_MAX

// A chat completion's chunk. 8 hexadecimal digits count the events of a stream, 16 are the time it was sent at.
#define EVENT_BEFORE "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000," \
  "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\""
#define EVENT_COUNT "00000000"
#define EVENT_TIME "0000000000000000"
#define EVENT_AFTER "\"},\"finish_reason\":null}]}\n\n"
#define EVENT EVENT_BEFORE EVENT_COUNT EVENT_TIME EVENT_AFTER
#define EVENT_BYTES (sizeof(EVENT) - 1)
#define COUNT_AT (sizeof(EVENT_BEFORE) - 1)
#define TIME_AT (COUNT_AT + 8)

typedef struct {
  char *bytes;
  size_t length;
} Blob;

__attribute__((noreturn)) static inline void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "wrong");
  exit(1);
}

/** Monotonic nanoseconds: the same clock in every process of this machine. */
static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void put_hex(char *to, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) to[i] = "0123456789abcdef"[value & 15];
}

static inline uint64_t get_hex(const char *from, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) {
    char c = from[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return 0;
    value = value << 4 | (uint64_t)digit;
  }
  return value;
}

static inline Blob read_blob(const char *path) {
  int fd = open(path, O_RDONLY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) fail(path);
  Blob blob = {malloc((size_t)status.st_size + 1), (size_t)status.st_size};
  if (read(fd, blob.bytes, blob.length) != (ssize_t)blob.length) fail(path);
  blob.bytes[blob.length] = 0;
  close(fd);
  return blob;
}

static inline struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static inline void no_delay(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/** Waits for events until `until` (NEVER: for ever), to the microsecond. */
static inline int wait_events(int poll, struct epoll_event *events, int max, uint64_t until) {
  if (until == NEVER) return epoll_pwait2(poll, events, max, NULL, NULL);
  uint64_t now = now_ns(), left = until > now ? until - now : 0;
  struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
  return epoll_pwait2(poll, events, max, &timeout, NULL);
}

/** Ends with whoever started this, and wakes from timers without the slack that the system gives them by default. */
static inline void prepare_process(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1);
  signal(SIGPIPE, SIG_IGN);
}
