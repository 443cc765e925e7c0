/* A disk that takes its time, for one server: loaded before the C library (LD_PRELOAD).
 *
 * Each fsync and fdatasync waits as many milliseconds as the file "slow_disk" in the process's
 * working folder says; a server's is its own. Without that file nothing is different. The wait
 * comes before the call, in the thread that makes it, as a disk's would.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_for_the_disk(void)
{
    char text[16] = "";
    struct timespec left;
    long milliseconds;
    int fd = open("slow_disk", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    milliseconds = read(fd, text, sizeof text - 1) > 0 ? atol(text) : 0;
    close(fd);
    left.tv_sec = milliseconds / 1000;
    left.tv_nsec = milliseconds % 1000 * 1000000;
    while (nanosleep(&left, &left) != 0)
        ;  /* a signal; the disk is not faster for it */
}

int fsync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    wait_for_the_disk();
    return next(fd);
}

int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

    wait_for_the_disk();
    return next(fd);
}
