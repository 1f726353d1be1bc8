#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor, aligned as the system wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

const char *queue_open(struct queue *queue)
{
    static const int size = QUEUE_SIZE;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        return "socketpair";
    *queue = (struct queue){.in = ends[0], .out = ends[1]};
    return setsockopt(queue->in, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? "setsockopt"
                                                                                 : NULL;
}

bool queue_put(const struct queue *queue, const struct handed *request, int connection)
{
    union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS}};
    struct iovec parts[] = {{(void *)&request->began_ns, sizeof(request->began_ns)},
                            {request->records, request->length}};
    const struct msghdr message = {.msg_iov = parts,
                                   .msg_iovlen = 2,
                                   .msg_control = &control,
                                   .msg_controllen = sizeof(control)};
    memcpy(CMSG_DATA(&control.header), &connection, sizeof(connection));
    if (request->length > HANDED_OVER_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    return sendmsg(queue->in, &message, MSG_NOSIGNAL) >= 0;
}

static bool is_abandoned(int connection)
{
    char byte;
    return recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int queue_take(const struct queue *queue, struct handed *request)
{
    union control control = {.header = {.cmsg_len = 0}};
    struct iovec parts[] = {{&request->began_ns, sizeof(request->began_ns)},
                            {request->records, request->length}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int connection;
    const ssize_t length = recvmsg(queue->out, &message, MSG_CMSG_CLOEXEC);
    if (length < 0)
        return -1;
    if (message.msg_controllen == 0) { /* there was no descriptor for it */
        errno = EMFILE;
        return -1;
    }
    request->length = (size_t)length - sizeof(request->began_ns);
    memcpy(&connection, CMSG_DATA(&control.header), sizeof(connection));
    if (!is_abandoned(connection))
        return connection;
    close(connection);
    errno = EAGAIN;
    return -1;
}
