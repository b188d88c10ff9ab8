/* The floor: what the system calls of a request cost on this machine, whatever the server.
 *
 * Usage: floor PORT ROOT
 *
 * One thread, level-triggered epoll, one recv and one send a turn. It knows the requests of the bench and answers
 * each with bytes that it made when it was first asked. It is no server: it looks at just enough of a request to
 * tell it from the others, takes every read for whole requests, and trusts its clients.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 512, CLIENTS = 1 << 17, READ_BYTES = 16 << 10, PIPELINED = 16, SMALL = 16 << 10 };

#define DATE "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define LAST_MODIFIED "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\nETag: \"6553f0f0-400\"\r\n"
#define FILE_FIELDS "Content-Type: text/html\r\nAccept-Ranges: bytes\r\n" LAST_MODIFIED
#define PAGE(title) "<html>\n<head><title>" title "</title></head>\n<body>\n<h1>" title "</h1>\n</body>\n</html>\n"

/* One kind of request: how it begins, a field that it must have, and the answer. The first that fits counts. */
static struct answer {
    const char *request, *status, *fields, *field, *file, *page;
    bool closes;
    char *bytes; /* PIPELINED answers one behind the other, or just one if it is long */
    size_t length;
} answers[] = {
    {"GET /1k.html ", "304 Not Modified", LAST_MODIFIED, .field = "If-Modified-Since:", .page = ""},
    {"GET /1k.html ", "200 OK", FILE_FIELDS, .field = "Connection: close", .file = "1k.html", .closes = true},
    {"GET /1k.html ", "200 OK", FILE_FIELDS, .file = "1k.html"},
    {"GET /100k.html ", "200 OK", FILE_FIELDS, .file = "100k.html"},
    {"GET /10485760.bin ", "200 OK", FILE_FIELDS, .file = "10485760.bin"},
    {"GET /old ", "301 Moved Permanently", "Location: http://localhost/new\r\n", .page = PAGE("Moved")},
    {"GET ", "404 Not Found", "Content-Type: text/html\r\n", .page = PAGE("Not found")},
};

/* A connection: what is still to be sent, and the event that epoll was asked for. */
static struct client {
    const char *rest;
    size_t left;
    uint32_t awaited;
    bool closes;
} clients[CLIENTS];

static int poller;
static const char *root;

/* Ends the program if a call failed; otherwise its result. */
static int must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

/* The content of a file, and its length. */
static char *read_file(const char *name, size_t *length)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    must(file ? fseek(file, 0, SEEK_END) : -1, path);
    *length = (size_t)ftell(file);
    char *content = malloc(*length + 1);
    rewind(file);
    must(content && fread(content, 1, *length, file) == *length ? 0 : -1, path);
    fclose(file);
    return content;
}

/* Makes the bytes of an answer. */
static void prepare(struct answer *answer)
{
    size_t size = answer->file ? 0 : strlen(answer->page);
    const char *body = answer->file ? read_file(answer->file, &size) : answer->page;
    char head[1024], counted[64] = "";
    if (size)
        snprintf(counted, sizeof counted, "Content-Length: %zu\r\n", size);
    size_t length = (size_t)snprintf(
        head, sizeof head, "HTTP/1.1 %s\r\nServer: floor\r\n" DATE "%s%sConnection: %s\r\n\r\n",
        answer->status, counted, answer->fields, answer->closes ? "close" : "keep-alive");
    answer->length = length + size;
    size_t copies = size < SMALL ? PIPELINED : 1;
    answer->bytes = malloc(copies * answer->length);
    must(answer->bytes ? 0 : -1, "malloc");
    for (char *to = answer->bytes; copies--; to += answer->length) {
        memcpy(to, head, length);
        memcpy(to + length, body, size);
    }
}

/* Reads what came and decides what to send; false if the connection is over. */
static bool receive(int fd, struct client *client)
{
    char data[READ_BYTES];
    ssize_t length = recv(fd, data, sizeof data - 1, 0);
    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    data[length] = 0;
    struct answer *answer = answers;
    while (strncmp(data, answer->request, strlen(answer->request)) || (answer->field && !strstr(data, answer->field)))
        if (++answer == answers + sizeof answers / sizeof *answers)
            return false;
    if (!answer->bytes)
        prepare(answer);
    client->rest = answer->bytes;
    client->closes = answer->closes;
    for (char *end = data; (end = strstr(end, "\r\n\r\n")); end += 4)
        client->left += answer->length;
    return true;
}

/* Sends what the socket takes; false if the connection is over. */
static bool transmit(int fd, struct client *client)
{
    ssize_t sent = send(fd, client->rest, client->left, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN;
    client->rest += sent;
    client->left -= (size_t)sent;
    return client->left || !client->closes;
}

/* One turn of a connection: goes on sending, or reads and answers; then waits for what comes next. */
static void turn(int fd, struct client *client)
{
    bool open = client->left || receive(fd, client);
    if (open && client->left)
        open = transmit(fd, client);
    if (!open) {
        close(fd); /* which also removes it from epoll */
        return;
    }
    uint32_t next = client->left ? EPOLLOUT : EPOLLIN;
    if (next == client->awaited)
        return;
    struct epoll_event event = {.events = next, .data.fd = fd};
    epoll_ctl(poller, client->awaited ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    client->awaited = next;
}

/* Takes all connections that wait. Their first bytes are there (TCP_DEFER_ACCEPT), so each is read at once. */
static void take(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < CLIENTS) {
        clients[fd] = (struct client){0};
        turn(fd, &clients[fd]);
    }
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket"), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* connections inherit it */
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    must(listen(fd, 4096), "listen");
    return fd;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: floor PORT ROOT\n");
        return 2;
    }
    root = arguments[2];
    int listener = listen_on(atoi(arguments[1]));
    poller = must(epoll_create1(0), "epoll_create1");
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    must(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                take(listener);
            else
                turn(fd, &clients[fd]);
        }
    }
}
