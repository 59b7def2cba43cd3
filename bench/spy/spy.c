// A PKCS#11 module that stands before another one: it counts the calls into that, and lets each wait, as a network
// HSM would. All in the environment:
//
//	SPY_MODULE   path of the module behind
//	SPY_TALLY    file that the counts are added to, 32 bytes; see struct tally
//	SPY_WAIT_US  how long each call waits, in microseconds; 0 where it is not set
//
// It is built for platforms that pass the arguments of every PKCS#11 function as words in registers and on the stack,
// in order: Linux on amd64 and arm64.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function_t)(word, word, word, word, word, word, word, word);
// CK_FUNCTION_LIST: its version, then the functions in the order of PKCS#11 v2.40, section 6.
typedef struct { unsigned char version[2]; function_t functions[68]; } list_t;

static struct tally {
	uint64_t calls;      // into the module, of all processes
	uint64_t waited;     // nanoseconds in which at least one call of a process waited
	uint64_t generating; // nanoseconds of CPU in C_GenerateKeyPair
	uint64_t unused;
} *tally, nowhere;

static list_t *behind, shown;
static long wait_us;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int waiting;
static uint64_t since;

static uint64_t nanoseconds(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_call(void) {
	if (wait_us == 0)
		return;
	pthread_mutex_lock(&lock);
	if (waiting++ == 0)
		since = nanoseconds(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&lock);
	prctl(PR_SET_TIMERSLACK, 1000); // else a wait of 1 ms is 5% longer
	struct timespec t = {wait_us / 1000000, wait_us % 1000000 * 1000};
	nanosleep(&t, NULL);
	pthread_mutex_lock(&lock);
	if (--waiting == 0)
		__atomic_fetch_add(&tally->waited, nanoseconds(CLOCK_MONOTONIC) - since, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
}

enum { GET_FUNCTION_LIST = 3, GENERATE_KEY_PAIR = 59, FUNCTIONS = 68 };

static word pass(int i, word a, word b, word c, word d, word e, word f, word g, word h) {
	__atomic_fetch_add(&tally->calls, 1, __ATOMIC_RELAXED);
	pause_call();
	if (i != GENERATE_KEY_PAIR)
		return behind->functions[i](a, b, c, d, e, f, g, h);
	uint64_t start = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	word rv = behind->functions[i](a, b, c, d, e, f, g, h);
	__atomic_fetch_add(&tally->generating, nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start, __ATOMIC_RELAXED);
	return rv;
}

#define F(i) static word f##i(word a, word b, word c, word d, word e, word f, word g, word h) { return pass(i, a, b, c, d, e, f, g, h); }
#define TEN(x, t) x(t##0) x(t##1) x(t##2) x(t##3) x(t##4) x(t##5) x(t##6) x(t##7) x(t##8) x(t##9)
#define ALL(x) \
	x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) TEN(x, 1) TEN(x, 2) TEN(x, 3) TEN(x, 4) TEN(x, 5) \
	x(60) x(61) x(62) x(63) x(64) x(65) x(66) x(67)
ALL(F)
#define NAME(i) f##i,
static const function_t passing[FUNCTIONS] = {ALL(NAME)};

word C_GetFunctionList(list_t **list) {
	if (behind == NULL) {
		const char *path = getenv("SPY_MODULE"), *file = getenv("SPY_TALLY"), *us = getenv("SPY_WAIT_US");
		void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW);
		word (*get)(list_t **) = library == NULL ? NULL : (word (*)(list_t **))dlsym(library, "C_GetFunctionList");
		if (get == NULL || get(&behind) != 0)
			return 5; // CKR_GENERAL_ERROR
		wait_us = us == NULL ? 0 : atol(us);
		tally = &nowhere;
		int fd = file == NULL ? -1 : open(file, O_RDWR | O_CLOEXEC);
		if (fd >= 0) {
			void *shared = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			if (shared != MAP_FAILED)
				tally = shared;
			close(fd);
		}
		memcpy(shown.version, behind->version, sizeof shown.version);
		for (int i = 0; i < FUNCTIONS; i++)
			shown.functions[i] = behind->functions[i] == NULL ? NULL : passing[i];
		shown.functions[GET_FUNCTION_LIST] = (function_t)(void (*)(void))C_GetFunctionList;
	}
	*list = &shown;
	return 0;
}
