/* SPDX-License-Identifier: MIT */
/* files_pair.c - zcsock recv and zcsock send, as two processes, and what the kernel charged them */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

struct child {
	pid_t pid;
	FILE *out; /* its standard output */
	struct rusage used;
	bool well; /* it ended with 0 */
};

static int start(struct child *child, const char *const *args)
{
	pid_t parent = getpid();
	int fds[2];

	*child = (struct child){ .pid = -1 };
	if (pipe(fds) < 0)
		return -1;
	child->pid = fork();
	if (child->pid == 0) {
		/* What is started does not outlive us. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent || dup2(fds[1], STDOUT_FILENO) < 0)
			_exit(1);
		close(fds[0]);
		close(fds[1]);
		execv("/proc/self/exe", (char *const *)args);
		_exit(1);
	}
	close(fds[1]);
	if (child->pid > 0)
		child->out = fdopen(fds[0], "re");
	if (!child->out)
		close(fds[0]);
	return child->out ? 0 : -1;
}

static void end(struct child *child, bool stop)
{
	int status = -1;

	if (child->pid > 0 && stop) /* it takes its temporary file away */
		kill(child->pid, SIGTERM);
	if (child->pid > 0 && wait4(child->pid, &status, 0, &child->used) == child->pid)
		child->well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (child->out)
		fclose(child->out);
	child->out = NULL;
	child->pid = -1;
}

/* The next line, which is a JSON object; NULL: it is none. */
static struct json_object *answer(struct child *child)
{
	struct json_object *object = NULL;
	char *line = NULL;
	size_t len = 0;

	if (getline(&line, &len, child->out) > 0)
		object = json_tokener_parse(line);
	free(line);
	return object;
}

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *found = NULL;

	return json_object_object_get_ex(object, name, &found) ? found : NULL;
}

static double seconds_of(const struct rusage *used)
{
	return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
	       (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1e6;
}

static void note_way(struct json_object *said, char way_out[16], double *direct_out)
{
	struct json_object *file = member(said, "file");
	const char *way = json_object_get_string(member(file, "way"));

	snprintf(way_out, 16, "%s", way ? way : "?");
	*direct_out = (double)json_object_get_int64(member(file, "bytes_direct"));
}

static int start_recv(struct child *recv, const struct files_case *what, const char *dir)
{
	const char *args[16] = { "zcsock",	"recv", "--json", "--force",	"--listen",
				 "127.0.0.1:0", "-o",	dir,	  "--file-way", what->recv };

	if (what->lends) {
		args[10] = "--zerocopy";
		args[11] = "--trust-peer";
	}
	return start(recv, args);
}

static int start_send(struct child *send, const struct files_case *what, const char *file,
		      const char *url)
{
	const char *args[16] = { "zcsock", "send", "--json", "--file-way", what->send };
	int n = 5;

	if (what->lends)
		args[n++] = "--zerocopy";
	args[n++] = file;
	args[n] = url;
	return start(send, args);
}

/* Both have said what they did: 0 when both are well. */
static int listen_to(struct child *send, struct child *recv, uint64_t size,
		     struct files_sample *out)
{
	struct json_object *sent = answer(send), *received = answer(recv);
	double none, direct;

	end(send, false);
	end(recv, !send->well);
	note_way(sent, out->sent, &none);
	note_way(received, out->received, &direct);
	out->send_s = seconds_of(&send->used);
	out->recv_s = seconds_of(&recv->used);
	out->direct = direct / (double)size;
	json_object_put(sent);
	json_object_put(received);
	return send->well && recv->well ? 0 : -1;
}

int files_pair(const struct files_case *what, const char *file, const char *dir, uint64_t size,
	       struct files_sample *out, char *why, size_t len)
{
	struct child recv, send = { .pid = -1 };
	struct json_object *first = NULL;
	const char *url = NULL;
	int r = start_recv(&recv, what, dir);

	snprintf(why, len, "a process could not be started");
	if (r == 0)
		first = answer(&recv);
	if (first)
		url = json_object_get_string(member(first, "url"));
	if (url) {
		r = start_send(&send, what, file, url);
		if (r == 0) {
			snprintf(why, len, "the transfer failed, and said why above");
			r = listen_to(&send, &recv, size, out);
		}
	}
	json_object_put(first);
	end(&send, true);
	end(&recv, true);
	return url && r == 0 ? 0 : -1;
}
