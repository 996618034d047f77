// A provider as cheap as it can be: answers from memory, streams events on time, echoes WebSocket frames. Checks of every
// request that it came unaltered, with the real key and without the token. One thread, HTTP/1.1, loopback.
//
//   upstream PORT FOLDER REALKEY TOKENPREFIX
//
// The request's "model" says what to do: `sse/<period µs>/<events>/<id>` streams; any other is answered with the bytes of
// FOLDER/<model>.answer. A body as long as one of FOLDER/*.body has to be equal to it.
// GET /stats gives the counts since the last time, GET /closed the ids of streams that the other side closed, and when.
#include "wire.h"
#include <dirent.h>

#define MAX_HEAD 16384
#define MAX_FILES 8
#define MODEL_BYTES 96
#define MAX_CLOSED 100000

typedef enum { HEAD, BODY, STREAM, TUNNEL } State;

typedef struct {
  int fd;
  State state;
  char *head;
  size_t head_length, body_left, body_seen;
  char model[MODEL_BYTES];
  const Blob *expected;
  char *out;
  size_t out_length, out_size;
  uint64_t period, due;
  uint32_t count, left;
  int id, heap_at;
} Conn;

static struct { char name[64]; Blob bytes; } answers[MAX_FILES];
static Blob bodies[MAX_FILES];
static int answer_count, body_count;
static const char *real_key, *token_prefix;
static int poll_fd;
static char buffer[READ_BYTES];
static struct { uint64_t requests, altered, strangers, leaked; } stats;
static struct { int id; uint64_t at; } closed[MAX_CLOSED];
static int closed_count;

// The streams by the time at which their next event is due: a binary heap.
static Conn **heap;
static int heap_count, heap_size;

static void place(Conn *conn, int at) { heap[at] = conn; conn->heap_at = at; }

static void sift_up(int at) {
  Conn *conn = heap[at];
  for (; at > 0 && heap[(at - 1) / 2]->due > conn->due; at = (at - 1) / 2) place(heap[(at - 1) / 2], at);
  place(conn, at);
}

static void sift_down(int at) {
  Conn *conn = heap[at];
  for (int child; (child = 2 * at + 1) < heap_count; at = child) {
    if (child + 1 < heap_count && heap[child + 1]->due < heap[child]->due) child++;
    if (heap[child]->due >= conn->due) break;
    place(heap[child], at);
  }
  place(conn, at);
}

static void heap_add(Conn *conn) {
  if (heap_count == heap_size) heap = realloc(heap, sizeof *heap * (size_t)(heap_size = heap_size * 2 + 64));
  place(conn, heap_count++);
  sift_up(conn->heap_at);
}

static void heap_remove(Conn *conn) {
  int at = conn->heap_at;
  if (at < 0) return;
  conn->heap_at = -1;
  Conn *last = heap[--heap_count];
  if (last == conn) return;
  place(last, at);
  sift_up(at);
  sift_down(last->heap_at);
}

static void drop(Conn *conn) {
  if (conn->state == STREAM && closed_count < MAX_CLOSED) {
    closed[closed_count].id = conn->id;
    closed[closed_count++].at = now_ns();
  }
  heap_remove(conn);
  close(conn->fd);
  free(conn->head);
  free(conn->out);
  free(conn);
}

static void send_bytes(Conn *conn, const char *bytes, size_t length) {
  if (conn->out_length == 0) {
    ssize_t written = write(conn->fd, bytes, length);
    if (written == (ssize_t)length) return;
    if (written > 0) { bytes += written; length -= (size_t)written; }
    else if (errno != EAGAIN) return; // its end will be read
    struct epoll_event event = {EPOLLIN | EPOLLOUT, {.ptr = conn}};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event);
  }
  if (conn->out_length + length > conn->out_size) {
    conn->out = realloc(conn->out, conn->out_size = (conn->out_length + length) * 2);
  }
  memcpy(conn->out + conn->out_length, bytes, length);
  conn->out_length += length;
}

static void flush(Conn *conn) {
  ssize_t written = write(conn->fd, conn->out, conn->out_length);
  if (written <= 0) return;
  memmove(conn->out, conn->out + written, conn->out_length -= (size_t)written);
  if (conn->out_length > 0) return;
  struct epoll_event event = {EPOLLIN, {.ptr = conn}};
  epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void send_text(Conn *conn, const char *text) {
  char head[160];
  int length = snprintf(head, sizeof head,
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n", strlen(text));
  send_bytes(conn, head, (size_t)length);
  send_bytes(conn, text, strlen(text));
}

static void begin_stream(Conn *conn, uint64_t period_us, uint32_t count, int id) {
  char head[320];
  uint64_t now = now_ns();
  conn->state = STREAM;
  conn->period = period_us * 1000;
  conn->left = count;
  conn->count = 0;
  conn->id = id;
  // Streams are not in step with each other.
  conn->due = now + conn->period / 4 + (uint64_t)(drand48() * (double)conn->period);
  heap_add(conn);
  int length = snprintf(head, sizeof head,
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "x-request-id: req_0123456789abcdef\r\nx-sent-ns: %016llx\r\ntransfer-encoding: chunked\r\n\r\n",
    (unsigned long long)now);
  send_bytes(conn, head, (size_t)length);
}

static void send_event(Conn *conn, uint64_t now) {
  static char chunk[EVENT_BYTES + 16];
  static size_t prefix;
  if (prefix == 0) {
    prefix = (size_t)sprintf(chunk, "%zx\r\n", EVENT_BYTES);
    memcpy(chunk + prefix, EVENT "\r\n", EVENT_BYTES + 2);
  }
  put_hex(chunk + prefix + COUNT_AT, conn->count++, 8);
  put_hex(chunk + prefix + TIME_AT, now, 16);
  send_bytes(conn, chunk, prefix + EVENT_BYTES + 2);
  if (--conn->left == 0) {
    heap_remove(conn);
    conn->state = HEAD;
    send_bytes(conn, "0\r\n\r\n", 5);
  } else {
    conn->due += conn->period;
    sift_down(conn->heap_at);
  }
}

static void answer(Conn *conn) {
  char model[MODEL_BYTES];
  unsigned period, count, id;
  conn->state = HEAD;
  conn->model[MODEL_BYTES - 1] = 0;
  if (sscanf(conn->model, "{\"model\":\"%90[^\"]", model) != 1) strcpy(model, "?");
  if (sscanf(model, "sse/%u/%u/%u", &period, &count, &id) == 3) {
    begin_stream(conn, period, count, (int)id);
    return;
  }
  for (int i = 0; i < answer_count; i++) {
    if (strcmp(answers[i].name, model) != 0) continue;
    send_bytes(conn, answers[i].bytes.bytes, answers[i].bytes.length);
    return;
  }
  stats.altered++;
  send_bytes(conn, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", 47);
}

static void tell_stats(Conn *conn) {
  char text[256];
  snprintf(text, sizeof text, "{\"requests\":%llu,\"altered\":%llu,\"strangers\":%llu,\"leaked\":%llu}",
    (unsigned long long)stats.requests, (unsigned long long)stats.altered,
    (unsigned long long)stats.strangers, (unsigned long long)stats.leaked);
  memset(&stats, 0, sizeof stats);
  send_text(conn, text);
}

static void tell_closed(Conn *conn) {
  char *text = malloc((size_t)closed_count * 32 + 1), *end = text;
  *end = 0;
  for (int i = 0; i < closed_count; i++) {
    end += sprintf(end, "%d %016llx\n", closed[i].id, (unsigned long long)closed[i].at);
  }
  closed_count = 0;
  send_text(conn, text);
  free(text);
}

static void accept_websocket(Conn *conn) {
  // The answer to the key of RFC 6455's example, which is the one that the client sends.
  static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  conn->state = TUNNEL;
  conn->head_length = 0;
  send_bytes(conn, head, sizeof head - 1);
}

/** Reads a whole header section; false when the connection is to be dropped. */
static bool read_head(Conn *conn, const char *head, size_t length) {
  if (strncmp(head, "GET /stats ", 11) == 0) { tell_stats(conn); return true; }
  if (strncmp(head, "GET /closed ", 12) == 0) { tell_closed(conn); return true; }
  stats.requests++;
  if (memmem(head, length, real_key, strlen(real_key)) == NULL) stats.strangers++;
  if (memmem(head, length, token_prefix, strlen(token_prefix)) != NULL) stats.leaked++;
  size_t body = 0;
  bool upgrade = false;
  for (const char *line = head; (line = memchr(line, '\n', length - (size_t)(line - head))) != NULL;) {
    line++;
    if (strncasecmp(line, "content-length:", 15) == 0) body = strtoul(line + 15, NULL, 10);
    else if (strncasecmp(line, "upgrade: websocket", 18) == 0) upgrade = true;
    else if (strncasecmp(line, "transfer-encoding:", 18) == 0) return false; // nobody here sends one
  }
  if (upgrade) { accept_websocket(conn); return true; }
  conn->body_left = body;
  conn->body_seen = 0;
  conn->expected = NULL;
  for (int i = 0; i < body_count; i++) if (bodies[i].length == body) conn->expected = &bodies[i];
  conn->state = BODY;
  memset(conn->model, 0, MODEL_BYTES);
  if (body == 0) answer(conn);
  return true;
}

static void take_body(Conn *conn, const char *bytes, size_t length) {
  if (conn->body_seen < MODEL_BYTES - 1) {
    size_t room = MODEL_BYTES - 1 - conn->body_seen;
    memcpy(conn->model + conn->body_seen, bytes, length < room ? length : room);
  }
  if (conn->expected != NULL && memcmp(conn->expected->bytes + conn->body_seen, bytes, length) != 0) {
    stats.altered++;
    conn->expected = NULL;
  }
  conn->body_seen += length;
  conn->body_left -= length;
  if (conn->body_left == 0) answer(conn);
}

/** Sends each whole frame back without its mask, which is zero. Frames have a length of 16 bits. */
static void echo_frames(Conn *conn, const char *bytes, size_t length) {
  if (conn->head == NULL) conn->head = malloc(MAX_HEAD);
  while (length > 0) {
    size_t room = MAX_HEAD - conn->head_length, part = length < room ? length : room;
    memcpy(conn->head + conn->head_length, bytes, part);
    conn->head_length += part;
    bytes += part;
    length -= part;
    for (;;) {
      if (conn->head_length < 8) break;
      size_t payload = (size_t)(uint8_t)conn->head[2] << 8 | (uint8_t)conn->head[3];
      if (conn->head_length < payload + 8) break;
      char *frame = conn->head + 4;
      memcpy(frame, (char[]){conn->head[0], 126, conn->head[2], conn->head[3]}, 4);
      send_bytes(conn, frame, payload + 4);
      memmove(conn->head, conn->head + payload + 8, conn->head_length -= payload + 8);
    }
  }
}

/** Takes what was read; false when the connection is to be dropped. */
static bool take(Conn *conn, const char *bytes, size_t length) {
  while (length > 0) {
    if (conn->state == TUNNEL) { echo_frames(conn, bytes, length); return true; }
    if (conn->state == STREAM) return false;
    if (conn->state == BODY) {
      size_t part = length < conn->body_left ? length : conn->body_left;
      take_body(conn, bytes, part);
      bytes += part;
      length -= part;
      continue;
    }
    if (conn->head_length == 0) {
      const char *end = memmem(bytes, length, "\r\n\r\n", 4);
      if (end != NULL) {
        size_t head = (size_t)(end - bytes) + 4;
        if (!read_head(conn, bytes, head)) return false;
        bytes += head;
        length -= head;
        continue;
      }
    }
    if (conn->head == NULL) conn->head = malloc(MAX_HEAD);
    size_t before = conn->head_length, part = length < MAX_HEAD - before ? length : MAX_HEAD - before;
    memcpy(conn->head + before, bytes, part);
    const char *end = memmem(conn->head, before + part, "\r\n\r\n", 4);
    if (end == NULL && before + part == MAX_HEAD) return false;
    conn->head_length = before + part;
    if (end == NULL) return true;
    size_t head = (size_t)(end - conn->head) + 4, used = head - before;
    conn->head_length = 0;
    if (!read_head(conn, conn->head, head)) return false;
    bytes += used;
    length -= used;
  }
  return true;
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    Conn *conn = calloc(1, sizeof *conn);
    conn->fd = fd;
    conn->heap_at = -1;
    no_delay(fd);
    struct epoll_event event = {EPOLLIN, {.ptr = conn}};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

static void load_files(const char *folder) {
  char path[4096];
  DIR *entries = opendir(folder);
  if (entries == NULL) fail(folder);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    char *dot = strrchr(entry->d_name, '.');
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (dot != NULL && strcmp(dot, ".body") == 0 && body_count < MAX_FILES) bodies[body_count++] = read_blob(path);
    if (dot == NULL || strcmp(dot, ".answer") != 0 || answer_count == MAX_FILES) continue;
    answers[answer_count].bytes = read_blob(path);
    snprintf(answers[answer_count++].name, 64, "%.*s", (int)(dot - entry->d_name), entry->d_name);
  }
  closedir(entries);
}

int main(int argc, char **argv) {
  if (argc != 5) { fprintf(stderr, "usage: upstream PORT FOLDER REALKEY TOKENPREFIX\n"); return 2; }
  prepare_process();
  load_files(argv[2]);
  real_key = argv[3];
  token_prefix = argv[4];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  struct sockaddr_in address = loopback(atoi(argv[1]));
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) fail("listen");
  poll_fd = epoll_create1(0);
  struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[256];
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int count = wait_events(poll_fd, events, 256, heap_count > 0 ? heap[0]->due : NEVER);
    for (int i = 0; i < count; i++) {
      Conn *conn = events[i].data.ptr;
      if (conn == NULL) { accept_all(listener); continue; }
      if (events[i].events & EPOLLOUT) flush(conn);
      if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      ssize_t length = read(conn->fd, buffer, sizeof buffer);
      if (length < 0 && errno == EAGAIN) continue;
      if (length <= 0 || !take(conn, buffer, (size_t)length)) drop(conn);
    }
    for (uint64_t now = now_ns(); heap_count > 0 && heap[0]->due <= now;) send_event(heap[0], now);
  }
}
