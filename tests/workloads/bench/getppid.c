// Makes the cheapest system call there is, in a process that nobody traces:
// `getppid ITERATIONS`, with the protocol of subject.py.

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    long iterations = argc > 1 ? atol(argv[1]) : 0;
    if (iterations <= 0) {
        fprintf(stderr, "usage: getppid ITERATIONS\n");
        return 2;
    }
    puts("READY");
    fflush(stdout);
    if (getchar() == EOF)
        return 0;
    double begin = now();
    for (long i = 0; i < iterations; i++)
        syscall(SYS_getppid);
    printf("NANOSECONDS %.1f\n", (now() - begin) / (double)iterations);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
