// The load: one thread, HTTP/1.1 over loopback. Checks every byte of every answer. Prints "begin" and "end" at the bounds of
// the measured window, and one line of JSON when all is done.
//
//   client kind=… port=… request=FILE [name=value …]
//
// kind=closed  `connections` of them, each with one request at a time, for `ms` after `warmup`; with tokens=FILE each request
//              carries the next token, and it ends with the last one
// kind=open    `rate` requests a second at random times (Poisson) over `connections`; latency counts from the intended time
// kind=streams `connections` SSE streams, opened over `warmup`, measured for `ms`; each has `events` events
// kind=aborts  `count` SSE streams, one after the other, each closed at its first event; asks the upstream at
//              `upstream` when it saw that
// kind=frames  `connections` WebSockets, each with one frame of `bytes` at a time on its way to the upstream and back
//
// In the request, @@@@@@ stands for the number of the stream, and the token for the next one of `tokens`.
#include "wire.h"
#include <math.h>

#define MAX_HEAD 8192
#define MAX_SAMPLES 4000000
#define MAX_ERRORS 2000
#define TOKEN_PREFIX "x3sproxy_"
#define TOKEN_BYTES 41
#define LINGER_NS 3000000000u

typedef enum { CLOSED, OPEN, STREAMS, ABORTS, FRAMES } Kind;
typedef enum { IDLE, HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, TUNNEL } State;

typedef struct {
  int fd;
  State state;
  bool busy, whole;
  char *out, *own;
  size_t out_length, out_at, head_length, left, body_at, event_at;
  char head[MAX_HEAD], event[EVENT_BYTES];
  int status, id;
  uint32_t next_count;
  uint64_t since;
} Conn;

static Kind kind;
static int port, upstream_port, connections = 1, poll_fd, payload = 256;
static uint64_t rate, count, event_total;
static uint64_t started, begin_at, end_at;
static Blob request, expected, tokens, frame, echo;
static size_t token_at = SIZE_MAX, id_at = SIZE_MAX, token_next;
static Conn *conns;
static Conn **idle;
static int idle_count, open_count;
static uint64_t *queue;
static size_t queue_first, queue_last, queue_size = 1 << 20;
static char buffer[READ_BYTES];
static uint32_t *samples, *head_samples; // in units of 10 ns
static size_t sample_count, head_sample_count;
static uint64_t done, in_window, refused, errors, altered, lost, broken, connects, last_done;
static int first_error_status;

static void drop(Conn *conn);
static void finish(Conn *conn, uint64_t now);

static void sample(uint64_t ns) {
  if (sample_count < MAX_SAMPLES) samples[sample_count++] = (uint32_t)(ns / 10 > UINT32_MAX ? UINT32_MAX : ns / 10);
}

static void open_conn(Conn *conn) {
  struct sockaddr_in address = loopback(port);
  conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (conn->fd < 0) fail("socket");
  no_delay(conn->fd);
  connects++;
  if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {EPOLLIN | EPOLLOUT, {.ptr = conn}};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, conn->fd, &event);
  conn->head_length = 0;
  open_count++;
}

static void watch(Conn *conn, uint32_t events) {
  struct epoll_event event = {events, {.ptr = conn}};
  epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void push_out(Conn *conn) {
  ssize_t written = write(conn->fd, conn->out + conn->out_at, conn->out_length - conn->out_at);
  if (written < 0) {
    if (errno == EAGAIN || errno == ENOTCONN) watch(conn, EPOLLIN | EPOLLOUT);
    return; // what else is wrong will be read
  }
  conn->out_at += (size_t)written;
  if (conn->out_at < conn->out_length) watch(conn, EPOLLIN | EPOLLOUT);
}

static void send_request(Conn *conn, uint64_t since) {
  conn->out = request.bytes;
  if (conn->own != NULL) {
    conn->out = conn->own;
    if (tokens.length > 0) memcpy(conn->own + token_at, tokens.bytes + token_next, TOKEN_BYTES);
    token_next += TOKEN_BYTES + 1;
    char digits[8];
    snprintf(digits, sizeof digits, "%06d", conn->id % 1000000);
    if (id_at != SIZE_MAX) memcpy(conn->own + id_at, digits, 6);
  }
  conn->out_length = request.length;
  conn->out_at = 0;
  conn->state = HEAD;
  conn->head_length = conn->body_at = conn->event_at = 0;
  conn->next_count = 0;
  conn->busy = true;
  conn->whole = true;
  conn->since = since;
  if (conn->fd < 0) open_conn(conn);
  else push_out(conn);
}

static bool tokens_left(void) { return tokens.length == 0 || token_next + TOKEN_BYTES <= tokens.length; }

static void send_frame(Conn *conn, uint64_t now) {
  conn->out = frame.bytes;
  conn->out_length = frame.length;
  conn->out_at = conn->body_at = 0;
  conn->since = now;
  push_out(conn);
}

static void take_event(Conn *conn, uint64_t now) {
  uint64_t sent = get_hex(conn->event + TIME_AT, 16);
  uint64_t number = get_hex(conn->event + COUNT_AT, 8);
  if (number != conn->next_count || sent == 0 || memcmp(conn->event, EVENT_BEFORE, COUNT_AT) != 0 ||
      memcmp(conn->event + TIME_AT + 16, EVENT_AFTER, sizeof EVENT_AFTER - 1) != 0) {
    altered++;
  }
  conn->next_count = (uint32_t)number + 1;
  done++;
  if (now >= begin_at && now < end_at) {
    in_window++;
    sample(now - sent);
  }
}

static void take_body(Conn *conn, const char *bytes, size_t length, uint64_t now) {
  if (kind != STREAMS && kind != ABORTS) {
    if (conn->body_at + length > expected.length || memcmp(expected.bytes + conn->body_at, bytes, length) != 0) {
      conn->whole = false;
    }
    conn->body_at += length;
    return;
  }
  while (length > 0) {
    size_t room = EVENT_BYTES - conn->event_at, part = length < room ? length : room;
    memcpy(conn->event + conn->event_at, bytes, part);
    conn->event_at += part;
    bytes += part;
    length -= part;
    if (conn->event_at < EVENT_BYTES) continue;
    conn->event_at = 0;
    take_event(conn, now);
  }
}

/** Reads a whole header section; false when it can't be understood. */
static bool take_head(Conn *conn, char *head, size_t length, uint64_t now) {
  head[length - 1] = 0;
  if (strncmp(head, "HTTP/1.1 ", 9) != 0) return false;
  conn->status = atoi(head + 9);
  if (conn->status == 101) {
    conn->state = TUNNEL;
    send_frame(conn, now);
    return true;
  }
  char *field = strcasestr(head, "\ncontent-length:");
  conn->left = field == NULL ? 0 : strtoul(field + 16, NULL, 10);
  if (field != NULL) conn->state = SIZED;
  else if (strcasestr(head, "\ntransfer-encoding: chunked") != NULL) conn->state = CHUNK_SIZE;
  else return false;
  char *sent = strcasestr(head, "\nx-sent-ns: ");
  if (sent != NULL && head_sample_count < MAX_SAMPLES) {
    head_samples[head_sample_count++] = (uint32_t)((now - get_hex(sent + 12, 16)) / 10);
  }
  if (conn->state == SIZED && conn->left == 0) finish(conn, now);
  return true;
}

static bool take_tunnel(Conn *conn, const char *bytes, size_t length, uint64_t now) {
  if (conn->body_at + length > echo.length || memcmp(echo.bytes + conn->body_at, bytes, length) != 0) {
    altered++;
    return false;
  }
  conn->body_at += length;
  if (conn->body_at < echo.length) return true;
  done++;
  if (now >= begin_at && now < end_at) {
    in_window++;
    sample(now - conn->since);
  }
  if (now < end_at) send_frame(conn, now);
  return true;
}

/** Takes what was read; false when the connection is to be dropped. */
static bool take(Conn *conn, char *bytes, size_t length, uint64_t now) {
  while (length > 0) {
    size_t part = 1;
    switch (conn->state) {
      case IDLE: return false;
      case HEAD: {
        if (conn->head_length + 1 >= MAX_HEAD) return false;
        size_t room = MAX_HEAD - 1 - conn->head_length, before = conn->head_length;
        part = length < room ? length : room;
        memcpy(conn->head + before, bytes, part);
        char *end = memmem(conn->head, before + part, "\r\n\r\n", 4);
        conn->head_length += part;
        if (end == NULL) break;
        size_t head = (size_t)(end - conn->head) + 4;
        part = head - before;
        conn->head_length = 0;
        if (!take_head(conn, conn->head, head, now)) return false;
        break;
      }
      case SIZED:
        part = length < conn->left ? length : conn->left;
        take_body(conn, bytes, part, now);
        if ((conn->left -= part) == 0) finish(conn, now);
        break;
      case CHUNK_SIZE:
        if (*bytes == '\n') {
          conn->head[conn->head_length] = 0;
          conn->left = strtoul(conn->head, NULL, 16);
          conn->head_length = 0;
          conn->state = conn->left == 0 ? TRAILER : CHUNK;
        } else if (conn->head_length < 20) conn->head[conn->head_length++] = *bytes;
        break;
      case CHUNK:
        part = length < conn->left ? length : conn->left;
        take_body(conn, bytes, part, now);
        if ((conn->left -= part) == 0) conn->state = CHUNK_END;
        break;
      case CHUNK_END:
        if (*bytes == '\n') conn->state = CHUNK_SIZE;
        break;
      case TRAILER: // none is ever sent, so this is the empty line
        if (*bytes == '\n') finish(conn, now);
        break;
      case TUNNEL: return take_tunnel(conn, bytes, length, now);
    }
    if (conn->fd < 0) return true;
    bytes += part;
    length -= part;
  }
  return true;
}

static void drop(Conn *conn) {
  if (conn->fd < 0) return;
  close(conn->fd);
  conn->fd = -1;
  open_count--;
}

/** A connection has ended by itself, or nothing sensible came. */
static void lose(Conn *conn, uint64_t now) {
  drop(conn);
  if (!conn->busy) return;
  conn->busy = false;
  errors++;
  if (kind == STREAMS) broken++;
  else if (kind == OPEN) idle[idle_count++] = conn;
  else if (errors > MAX_ERRORS) fail("too many errors");
  else if (now < end_at && kind == CLOSED && tokens_left()) send_request(conn, now);
}

static void finish(Conn *conn, uint64_t now) {
  conn->state = IDLE;
  conn->busy = false;
  last_done = now;
  if (conn->status != 200) {
    refused++;
    if (first_error_status == 0) first_error_status = conn->status;
  } else if (kind == STREAMS) {
    lost += event_total - conn->next_count;
  } else if (!conn->whole || conn->body_at != expected.length) altered++;
  if (kind == STREAMS || kind == ABORTS) return;
  done++;
  if (now >= begin_at && now < end_at) {
    in_window++;
    sample(now - conn->since);
  }
  if (kind == OPEN) {
    if (queue_first < queue_last) send_request(conn, queue[queue_first++ % queue_size]);
    else idle[idle_count++] = conn;
  } else if (now < end_at && tokens_left()) send_request(conn, now);
}

static void handle(struct epoll_event *event) {
  Conn *conn = event->data.ptr;
  if (conn->fd < 0) return;
  if (event->events & EPOLLOUT) {
    watch(conn, EPOLLIN);
    if (conn->out_at < conn->out_length) push_out(conn);
  }
  if (!(event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  ssize_t length = read(conn->fd, buffer, sizeof buffer);
  if (length < 0 && errno == EAGAIN) return;
  uint64_t now = now_ns();
  if (length <= 0 || !take(conn, buffer, (size_t)length, now)) lose(conn, now);
}

static void handle_until(uint64_t until) {
  struct epoll_event events[256];
  int ready = wait_events(poll_fd, events, 256, until);
  for (int i = 0; i < ready; i++) handle(&events[i]);
}

static uint64_t earliest(uint64_t a, uint64_t b) { return a < b ? a : b; }

/** Says when the window begins and ends; gives the next of these times. */
static uint64_t mark_window(uint64_t now) {
  static int said;
  if (said == 0 && now >= begin_at) { said = 1; puts("begin"); fflush(stdout); }
  if (said == 1 && now >= end_at) { said = 2; puts("end"); fflush(stdout); }
  return said == 0 ? begin_at : said == 1 ? end_at : NEVER;
}

static void run_closed(void) {
  for (int i = 0; i < connections && tokens_left(); i++) send_request(&conns[i], now_ns());
  for (uint64_t now; (now = now_ns()) < end_at;) {
    uint64_t next = mark_window(now);
    if (tokens.length > 0) {
      bool busy = false;
      for (int i = 0; i < connections && !busy; i++) busy = conns[i].busy;
      if (!busy) break;
    }
    handle_until(next);
  }
  if (now_ns() < end_at) end_at = now_ns();
  mark_window(now_ns());
}

static void run_open(void) {
  double gap = 1e9 / (double)rate, due = (double)now_ns();
  for (int i = 0; i < connections; i++) send_request(&conns[i], now_ns()); // opens them all
  for (uint64_t now; (now = now_ns()) < end_at;) {
    uint64_t next = earliest(mark_window(now), (uint64_t)due);
    for (; (uint64_t)due <= now; due -= gap * log(1 - drand48())) {
      if (idle_count > 0) send_request(idle[--idle_count], (uint64_t)due);
      else if (queue_last - queue_first < queue_size) queue[queue_last++ % queue_size] = (uint64_t)due;
    }
    handle_until(next);
  }
  mark_window(now_ns());
}

static void run_streams(void) {
  uint64_t span = begin_at - started;
  int opened = 0;
  for (;;) {
    uint64_t now = now_ns(), next = mark_window(now);
    if (opened < connections) {
      uint64_t due = started + span * 3 / 4 * (uint64_t)opened / (uint64_t)connections;
      if (due <= now) send_request(&conns[opened++], now);
      next = earliest(next, due);
    }
    if (now >= end_at) {
      bool busy = false;
      for (int i = 0; i < connections && !busy; i++) busy = conns[i].busy;
      if (!busy || now > end_at + LINGER_NS) return;
      next = earliest(next, end_at + LINGER_NS);
    }
    handle_until(next);
  }
}

/** Asks the upstream itself; the answer is short-lived, from a socket of its own. */
static char *ask_closed(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = loopback(upstream_port);
  static char text[1 << 20];
  size_t length = 0, wanted = SIZE_MAX;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect to the upstream");
  if (write(fd, "GET /closed HTTP/1.1\r\n\r\n", 24) != 24) fail("ask");
  while (length < wanted && length < sizeof text - 1) {
    ssize_t part = read(fd, text + length, sizeof text - 1 - length);
    if (part <= 0) break;
    text[length += (size_t)part] = 0;
    char *body = strstr(text, "\r\n\r\n"), *field = strcasestr(text, "content-length:");
    if (body != NULL && field != NULL) wanted = (size_t)(body + 4 - text) + strtoul(field + 15, NULL, 10);
  }
  close(fd);
  return strstr(text, "\r\n\r\n") + 4;
}

static void run_aborts(void) {
  uint64_t *closed_at = calloc(count, sizeof *closed_at);
  ask_closed();
  mark_window(begin_at = now_ns());
  end_at = NEVER;
  Conn *conn = &conns[0];
  for (uint64_t i = 0; i < count; i++) {
    conn->id = (int)i;
    uint64_t events_before = done, deadline = now_ns() + LINGER_NS;
    send_request(conn, now_ns());
    while (done == events_before && conn->busy && now_ns() < deadline) handle_until(deadline);
    conn->busy = false;
    closed_at[i] = now_ns();
    drop(conn);
    usleep(1000);
  }
  usleep(300000);
  sample_count = 0;
  for (char *line = ask_closed(); line != NULL && *line != 0; line = strchr(line, '\n') + 1) {
    uint64_t id = strtoul(line, &line, 10), at = get_hex(line + 1, 16);
    if (id < count && at > closed_at[id]) sample(at - closed_at[id]);
  }
  lost = count - sample_count;
  mark_window(end_at = now_ns());
}

static void make_frames(void) {
  frame = (Blob){calloc(1, (size_t)payload + 8), (size_t)payload + 8};
  echo = (Blob){calloc(1, (size_t)payload + 4), (size_t)payload + 4};
  char head[4] = {(char)0x82, 126, (char)(payload >> 8), (char)payload};
  memcpy(frame.bytes, head, 4);
  memcpy(echo.bytes, head, 4);
  frame.bytes[1] |= (char)0x80; // masked with zeros
  for (int i = 0; i < payload; i++) frame.bytes[8 + i] = echo.bytes[4 + i] = (char)('a' + i % 26);
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void print_quantiles(const char *name, uint32_t *values, size_t n) {
  static const double at[] = {0.5, 0.9, 0.99, 0.999, 1};
  static const char *labels[] = {"p50", "p90", "p99", "p999", "max"};
  qsort(values, n, sizeof *values, by_value);
  printf("\"%s\":{\"count\":%zu", name, n);
  for (int i = 0; i < 5 && n > 0; i++) {
    size_t index = (size_t)(at[i] * (double)n);
    printf(",\"%s\":%.2f", labels[i], values[index < n ? index : n - 1] / 100.0);
  }
  printf("}");
}

static void read_arguments(int argc, char **argv) {
  uint64_t warmup = 0, ms = 1000;
  static const char *kinds[] = {"closed", "open", "streams", "aborts", "frames"};
  for (int i = 1; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (value == NULL) fail(argv[i]);
    *value++ = 0;
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(argv[i], "kind") == 0) {
      for (int k = 0; k < 5; k++) if (strcmp(kinds[k], value) == 0) kind = (Kind)k;
    } else if (strcmp(argv[i], "port") == 0) port = (int)number;
    else if (strcmp(argv[i], "upstream") == 0) upstream_port = (int)number;
    else if (strcmp(argv[i], "connections") == 0) connections = (int)number;
    else if (strcmp(argv[i], "warmup") == 0) warmup = number;
    else if (strcmp(argv[i], "ms") == 0) ms = number;
    else if (strcmp(argv[i], "rate") == 0) rate = number;
    else if (strcmp(argv[i], "count") == 0) count = number;
    else if (strcmp(argv[i], "events") == 0) event_total = number;
    else if (strcmp(argv[i], "bytes") == 0) payload = (int)number;
    else if (strcmp(argv[i], "request") == 0) request = read_blob(value);
    else if (strcmp(argv[i], "expect") == 0) expected = read_blob(value);
    else if (strcmp(argv[i], "tokens") == 0) tokens = read_blob(value);
    else fail(argv[i]);
  }
  started = now_ns();
  begin_at = started + warmup * 1000000;
  end_at = begin_at + ms * 1000000;
}

int main(int argc, char **argv) {
  prepare_process();
  read_arguments(argc, argv);
  poll_fd = epoll_create1(0);
  samples = malloc(MAX_SAMPLES * sizeof *samples);
  head_samples = malloc(MAX_SAMPLES * sizeof *head_samples);
  queue = malloc(queue_size * sizeof *queue);
  conns = calloc((size_t)connections, sizeof *conns);
  idle = calloc((size_t)connections, sizeof *idle);
  char *token = memmem(request.bytes, request.length, TOKEN_PREFIX, strlen(TOKEN_PREFIX));
  char *id = memmem(request.bytes, request.length, "@@@@@@", 6);
  if (token != NULL) token_at = (size_t)(token - request.bytes);
  if (id != NULL) id_at = (size_t)(id - request.bytes);
  for (int i = 0; i < connections; i++) {
    conns[i].fd = -1;
    conns[i].id = i;
    if (tokens.length == 0 && id == NULL) continue;
    conns[i].own = malloc(request.length);
    memcpy(conns[i].own, request.bytes, request.length);
  }
  make_frames();
  switch (kind) {
    case CLOSED: case FRAMES: run_closed(); break;
    case OPEN: run_open(); break;
    case STREAMS: run_streams(); break;
    case ABORTS: run_aborts(); break;
  }
  uint64_t unfinished = 0;
  for (int i = 0; i < connections && kind == STREAMS; i++) unfinished += conns[i].busy;
  printf("{\"ms\":%.3f,\"count\":%llu,\"done\":%llu,\"errors\":%llu,\"refused\":%llu,\"status\":%d,\"altered\":%llu,"
    "\"lost\":%llu,\"broken\":%llu,\"unfinished\":%llu,\"connects\":%llu,",
    (double)(end_at - begin_at) / 1e6, (unsigned long long)in_window, (unsigned long long)done,
    (unsigned long long)errors, (unsigned long long)refused, first_error_status, (unsigned long long)altered,
    (unsigned long long)lost, (unsigned long long)broken, (unsigned long long)unfinished, (unsigned long long)connects);
  print_quantiles("latencyUs", samples, sample_count);
  printf(",");
  print_quantiles("headersUs", head_samples, head_sample_count);
  printf("}\n");
}
