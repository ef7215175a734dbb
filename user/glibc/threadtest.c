/* SPDX-License-Identifier: MIT */
/*
 * threadtest: what a threaded program against glibc needs of a kernel. malloc
 * in many threads, mutexes and conditions, waiting with a deadline,
 * thread-local storage, signals to threads, fork from a thread. Prints one line
 * per part.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;
static _Thread_local long own;

static void check(int good, const char *what)
{
	printf("%s %s\n", good ? "ok  " : "FAIL", what);
	fflush(stdout);
	if (!good)
		exit(1);
}

static int run_all(void *(*f)(void *))
{
	pthread_t t[THREADS];
	int good = 1;
	void *result;

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, f, (void *)i) != 0)
			return 0;
	for (int i = 0; i < THREADS; i++)
		good &= pthread_join(t[i], &result) == 0 && !result;
	return good;
}

static void *count_up(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		own++;
	}
	return (void *)(long)(own != 2000);
}

static void *allocate(void *n)
{
	unsigned seed = (unsigned)(long)n;
	char *kept[64] = {0};

	for (int i = 0; i < 1000; i++) {
		int k = rand_r(&seed) % 64;
		size_t size = (size_t)rand_r(&seed) % 20000 + 1;

		free(kept[k]);
		kept[k] = malloc(size);
		if (!kept[k])
			return "out of memory";
		memset(kept[k], k, size);
		for (int other = 0; other < 64; other++)
			if (kept[other] && kept[other][0] != other)
				return "overwritten";
	}
	for (int k = 0; k < 64; k++)
		free(kept[k]);
	return NULL;
}

static void *take_turns(void *n)
{
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&lock);
		while (turn % THREADS != (int)(long)n)
			pthread_cond_wait(&changed, &lock);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static int wait_with_deadline(clockid_t clock)
{
	pthread_cond_t never;
	pthread_condattr_t how;
	struct timespec before, until, after;
	int result;

	pthread_condattr_init(&how);
	pthread_condattr_setclock(&how, clock);
	pthread_cond_init(&never, &how);
	clock_gettime(clock, &before);
	until = before;
	until.tv_nsec += 30000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	result = pthread_cond_timedwait(&never, &lock, &until);
	pthread_mutex_unlock(&lock);
	clock_gettime(clock, &after);
	return result == ETIMEDOUT &&
		(after.tv_sec > until.tv_sec ||
			(after.tv_sec == until.tv_sec &&
				after.tv_nsec >= until.tv_nsec));
}

static atomic_int signalled;
static pthread_t signalled_thread;
static sem_t ready;

static void on_signal(int sig)
{
	(void)sig;
	if (pthread_equal(pthread_self(), signalled_thread))
		signalled++;
}

static void *wait_for_signal(void *unused)
{
	(void)unused;
	sem_post(&ready);
	while (!signalled)
		usleep(1000);
	return NULL;
}

static int signals_reach_their_thread(void)
{
	signal(SIGUSR1, on_signal);
	sem_init(&ready, 0, 0);
	if (pthread_create(&signalled_thread, NULL, wait_for_signal, NULL))
		return 0;
	sem_wait(&ready);
	return pthread_kill(signalled_thread, SIGUSR1) == 0 &&
		pthread_join(signalled_thread, NULL) == 0 && signalled == 1;
}

static void *fork_and_wait(void *n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit((int)(long)n);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "no child";
	return WEXITSTATUS(status) == (int)(long)n ? NULL : "wrong status";
}

static void *nothing(void *unused)
{
	(void)unused;
	return NULL;
}

static void *sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		sleep(1000);
	return NULL;
}

static int threads_can_be_cancelled(void)
{
	pthread_t t;
	void *result;

	return pthread_create(&t, NULL, sleep_for_ever, NULL) == 0 &&
		pthread_cancel(t) == 0 && pthread_join(t, &result) == 0 &&
		result == PTHREAD_CANCELED;
}

static int shell_commands(void)
{
	FILE *p = popen("echo from the shell", "r");
	char line[64] = "";

	return p && fgets(line, sizeof(line), p) && pclose(p) == 0 &&
		!strcmp(line, "from the shell\n") && system("exit 3") == 3 << 8;
}

int main(void)
{
	check(run_all(count_up) && counter == THREADS * 2000l && own == 0,
		"mutex and thread-local storage");
	check(run_all(allocate), "malloc in every thread");
	check(run_all(take_turns) && turn == THREADS * 50, "condition");
	check(wait_with_deadline(CLOCK_REALTIME), "deadline, wall clock");
	check(wait_with_deadline(CLOCK_MONOTONIC), "deadline, monotonic");
	check(signals_reach_their_thread(), "signal to one thread");
	check(run_all(fork_and_wait), "fork from threads");
	check(threads_can_be_cancelled(), "cancelling");
	check(shell_commands(), "shell commands");
	for (int i = 0; i < 100; i++)
		if (!run_all(nothing))
			check(0, "many threads");
	check(1, "many threads");
	return 0;
}
