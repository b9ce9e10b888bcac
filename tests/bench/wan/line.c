/* line: one emulated wide-area line between two network namespaces.
 *
 *     line CLINIC_NAMESPACE HOSPITAL_NAMESPACE DEVICE RTT_MS LOSS_PERCENT RATE_MBIT QUEUE_MS SEED
 *
 * It makes a TUN device called DEVICE in each namespace, prints "ready" (addresses are given by who started it) and carries
 * packets between the two, so that the kernel's own TCP and UDP meet what a line does to them. It needs no netem, only TUN.
 *
 * Each direction for itself: a packet is lost at random, or finds the drop-tail queue in front of the bottleneck full, or waits
 * in it, is sent at the bottleneck's rate (IP headers count, link headers do not exist) and arrives half a round trip later.
 *
 * One command a line on standard input, one line in answer on standard output:
 *     down | up            cut the line: what is on it and what comes vanishes, until it is up again
 *     rate MBIT            0: no bottleneck
 *     loss PERCENT
 *     udp on | udp off     off: UDP vanishes, for machines without nftables
 *     stats                one JSON object, counters since the start
 * The end of standard input and SIGTERM end it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ull

enum {
    PACKET_BYTES = 1500, /* the MTU of the devices, which is the kernel's default */
    SLOTS = 1 << 14,     /* packets on their way in one direction; at 100 Mbit/s almost two seconds of them */
    BATCH = 64,          /* packets taken from one side before the other has its turn */
    COMMAND_BYTES = 256,
    IPPROTO_BYTE_V4 = 9, /* where an IPv4 header names what it carries */
    UDP = 17
};

struct packet {
    uint64_t due;
    uint16_t length;
    uint8_t bytes[PACKET_BYTES];
};

struct tally {
    uint64_t packets, bytes;
};

struct way {
    const char *name;
    int from, to;
    struct packet *ring; /* in order of arrival; never more than SLOTS between first and end */
    uint64_t first, end;
    uint64_t free_at; /* when the bottleneck will have sent all that it holds */
    uint64_t chance;  /* state of the random numbers */
    uint64_t waited, longest, queued; /* time in the queue, in nanoseconds, over so many packets */
    uint64_t busy;                    /* how long the bottleneck has been sending */
    struct tally entered, carried, lost, overflowed, cut;
};

struct line {
    struct way ways[2];
    uint64_t delay, queue;
    double loss, nanoseconds_per_byte;
    bool down, udp_off;
    char command[COMMAND_BYTES];
    size_t typed;
};

static void fail(const char *what) {
    fprintf(stderr, "line: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NANOSECONDS + (uint64_t)t.tv_nsec;
}

/* SplitMix64, from 0 up to and without 1. */
static double draw(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static void add(struct tally *tally, size_t bytes) {
    tally->packets++;
    tally->bytes += bytes;
}

static int open_device(const char *namespace, const char *device) {
    char path[128];
    snprintf(path, sizeof path, "/run/netns/%s", namespace);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) < 0) fail(path);
    close(there);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    if (ioctl(tun, TUNSETIFF, &request) < 0) fail(device);
    return tun;
}

static bool is_udp(const struct packet *packet) {
    return packet->length > 20 && packet->bytes[0] >> 4 == 4 && packet->bytes[IPPROTO_BYTE_V4] == UDP;
}

/* Decides what becomes of the packet in the free slot of the ring. */
static void enter(struct line *line, struct way *way, uint64_t t) {
    struct packet *packet = &way->ring[way->end % SLOTS];
    add(&way->entered, packet->length);
    if (line->down || (line->udp_off && is_udp(packet))) {
        add(&way->cut, packet->length);
        return;
    }
    if (draw(&way->chance) < line->loss) {
        add(&way->lost, packet->length);
        return;
    }
    if (way->free_at < t) way->free_at = t;
    uint64_t wait = way->free_at - t;
    if (wait > line->queue || way->end - way->first >= SLOTS - 1) {
        add(&way->overflowed, packet->length);
        return;
    }
    uint64_t sending = (uint64_t)(packet->length * line->nanoseconds_per_byte);
    way->free_at += sending;
    way->busy += sending;
    way->waited += wait;
    way->queued++;
    if (wait > way->longest) way->longest = wait;
    packet->due = way->free_at + line->delay;
    way->end++;
}

static void take(struct line *line, struct way *way) {
    for (int count = 0; count < BATCH; count++) {
        struct packet *packet = &way->ring[way->end % SLOTS];
        ssize_t length = read(way->from, packet->bytes, PACKET_BYTES);
        if (length <= 0) return;
        packet->length = (uint16_t)length;
        enter(line, way, now());
    }
}

static void deliver(struct way *way) {
    uint64_t t = now();
    while (way->first != way->end) {
        struct packet *packet = &way->ring[way->first % SLOTS];
        if (packet->due > t) return;
        bool written = write(way->to, packet->bytes, packet->length) == packet->length;
        add(written ? &way->carried : &way->overflowed, packet->length);
        way->first++;
    }
}

static void cut(struct way *way) {
    while (way->first != way->end) add(&way->cut, way->ring[way->first++ % SLOTS].length);
    way->free_at = 0;
}

static void print_tally(const char *name, const struct tally *tally) {
    printf("\"%s_packets\":%llu,\"%s_bytes\":%llu,", name, (unsigned long long)tally->packets, name,
           (unsigned long long)tally->bytes);
}

static void print_way(const struct way *way) {
    printf("\"%s\":{", way->name);
    print_tally("entered", &way->entered);
    print_tally("carried", &way->carried);
    print_tally("lost", &way->lost);
    print_tally("overflowed", &way->overflowed);
    print_tally("cut", &way->cut);
    double mean = way->queued ? (double)way->waited / (double)way->queued / 1e3 : 0;
    printf("\"queued_packets\":%llu,\"queue_mean_us\":%.1f,\"queue_sum_us\":%.0f,\"queue_max_us\":%.1f,\"busy_us\":%.0f}",
           (unsigned long long)way->queued, mean, (double)way->waited / 1e3, (double)way->longest / 1e3,
           (double)way->busy / 1e3);
}

static void set_rate(struct line *line, double mbit) {
    /* A bit at 1 Mbit/s takes a microsecond. */
    line->nanoseconds_per_byte = mbit > 0 ? 8e3 / mbit : 0;
}

static void obey(struct line *line, const char *command) {
    double number;
    if (strcmp(command, "stats") == 0) {
        printf("{\"now_us\":%.0f,", (double)now() / 1e3);
        print_way(&line->ways[0]);
        printf(",");
        print_way(&line->ways[1]);
        printf("}\n");
        return;
    }
    bool known = true;
    if (strcmp(command, "down") == 0) {
        line->down = true;
        cut(&line->ways[0]);
        cut(&line->ways[1]);
    } else if (strcmp(command, "up") == 0) {
        line->down = false;
    } else if (strcmp(command, "udp on") == 0 || strcmp(command, "udp off") == 0) {
        line->udp_off = command[5] == 'f';
    } else if (sscanf(command, "rate %lf", &number) == 1 && number >= 0) {
        set_rate(line, number);
    } else if (sscanf(command, "loss %lf", &number) == 1 && number >= 0) {
        line->loss = number / 100;
    } else {
        known = false;
    }
    printf(known ? "ok\n" : "unknown command\n");
}

/* Whether standard input is still open. */
static bool listen_to(struct line *line) {
    char bytes[COMMAND_BYTES];
    ssize_t length = read(STDIN_FILENO, bytes, sizeof bytes);
    if (length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN)) return false;
    for (ssize_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            line->command[line->typed] = 0;
            line->typed = 0;
            obey(line, line->command);
            fflush(stdout);
        } else if (line->typed < COMMAND_BYTES - 1) {
            line->command[line->typed++] = bytes[i];
        }
    }
    return true;
}

static void set_alarm(int timer, const struct line *line) {
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        const struct way *way = &line->ways[i];
        if (way->first != way->end && way->ring[way->first % SLOTS].due < next) next = way->ring[way->first % SLOTS].due;
    }
    struct itimerspec alarm = {0};
    if (next != UINT64_MAX) {
        alarm.it_value.tv_sec = (time_t)(next / NANOSECONDS);
        alarm.it_value.tv_nsec = (long)(next % NANOSECONDS);
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &alarm, NULL);
}

static void carry(struct line *line) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    int ended = signalfd(-1, &ending, SFD_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (ended < 0 || timer < 0) fail("cannot wait for time or signals");
    struct pollfd waits[] = {
        {line->ways[0].from, POLLIN, 0}, {line->ways[1].from, POLLIN, 0},
        {timer, POLLIN, 0},              {STDIN_FILENO, POLLIN, 0},
        {ended, POLLIN, 0},
    };
    for (;;) {
        set_alarm(timer, line);
        if (poll(waits, sizeof waits / sizeof *waits, -1) < 0 && errno != EINTR) fail("poll");
        for (int i = 0; i < 2; i++) {
            take(line, &line->ways[i]);
            deliver(&line->ways[i]);
        }
        if (waits[4].revents) return;
        if (waits[3].revents && !listen_to(line)) return;
    }
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: line CLINIC_NAMESPACE HOSPITAL_NAMESPACE DEVICE RTT_MS LOSS_PERCENT RATE_MBIT QUEUE_MS SEED\n");
        return 2;
    }
    struct line line = {.delay = (uint64_t)(atof(argv[4]) / 2 * 1e6), .loss = atof(argv[5]) / 100};
    line.queue = (uint64_t)(atof(argv[7]) * 1e6);
    set_rate(&line, atof(argv[6]));
    int clinic = open_device(argv[1], argv[3]), hospital = open_device(argv[2], argv[3]);
    uint64_t seed = strtoull(argv[8], NULL, 10);
    line.ways[0] = (struct way){.name = "to_hospital", .from = clinic, .to = hospital, .chance = seed};
    line.ways[1] = (struct way){.name = "to_clinic", .from = hospital, .to = clinic, .chance = ~seed};
    for (int i = 0; i < 2; i++)
        if (!(line.ways[i].ring = malloc(SLOTS * sizeof(struct packet)))) fail("memory");
    /* Ahead of what it carries for: busy programs on the same cores must not look like a slow line. */
    struct sched_param first = {.sched_priority = 10};
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0) fprintf(stderr, "line: without real-time priority the timing is coarse\n");
    printf("ready\n");
    fflush(stdout);
    carry(&line);
    return 0;
}
