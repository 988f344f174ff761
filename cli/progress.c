/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "progress.h"
#include "stop.h"
#include "text.h"

#define EVERY_MS 250

static struct {
	int terminal; /* 0: not looked yet, 1: yes, -1: no */
	bool drawn;
	char name[SAFE_NAME];
	uint64_t size;
	uint64_t start_ms;
	uint64_t next_ms;
} line;

const char *progress_bytes(uint64_t bytes, char out[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned i = 0;

	while (value >= 1000 && i < 6) {
		value /= 1024;
		i++;
	}
	snprintf(out, 16, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
	return out;
}

void progress_begin(const char *name, uint64_t size)
{
	if (line.terminal == 0)
		line.terminal = isatty(STDERR_FILENO) ? 1 : -1;
	snprintf(line.name, sizeof(line.name), "%s", name);
	line.size = size;
	line.start_ms = now_ms();
	line.next_ms = line.start_ms + EVERY_MS;
}

int progress_due(void)
{
	return line.terminal == 1 && now_ms() >= line.next_ms;
}

static void time_left(uint64_t done, double rate, char *out, size_t len)
{
	uint64_t left;

	out[0] = '\0';
	if (line.size == UINT64_MAX || rate <= 0 || done > line.size)
		return;
	left = (uint64_t)((double)(line.size - done) / rate);
	if (left < 360000)
		snprintf(out, len, "  %" PRIu64 ":%02u left", left / 60, (unsigned)(left % 60));
}

void progress_at(uint64_t done, double uncopied)
{
	char text[SAFE_NAME + 128], head[32], moved[16], per_s[16], left[32];
	struct winsize window = { .ws_col = 80 };
	double seconds, rate;
	uint64_t now = now_ms();

	if (!progress_due())
		return;
	line.next_ms = now + EVERY_MS;
	seconds = (double)(now - line.start_ms) / 1000;
	rate = seconds > 0 ? (double)done / seconds : 0;
	time_left(done, rate, left, sizeof(left));
	head[0] = '\0';
	if (line.size != UINT64_MAX && line.size > 0)
		snprintf(head, sizeof(head), "%3.0f%%  ", 100 * (double)done / (double)line.size);
	snprintf(text, sizeof(text), "%s%s  %s/s%s  %.0f%% without a copy  %s", head,
		 progress_bytes(done, moved), progress_bytes((uint64_t)rate, per_s), left, uncopied,
		 line.name);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col < 20)
		window.ws_col = 80;
	/* Counts bytes, not columns: a line too short is only less pretty. */
	fprintf(stderr, "\r\033[K%.*s", window.ws_col - 1, text);
	fflush(stderr);
	line.drawn = true;
}

void progress_clear(void)
{
	if (!line.drawn)
		return;
	fputs("\r\033[K", stderr);
	line.drawn = false;
}
