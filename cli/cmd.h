/* SPDX-License-Identifier: MIT */
/* cmd.h - the commands; each returns the exit status: 0 done, 1 failed, 2 wrong usage */
#ifndef ZCSOCK_CMD_H
#define ZCSOCK_CMD_H

int cmd_send(int argc, char **argv);
int cmd_recv(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_files(int argc, char **argv); /* bench --files */
int cmd_lab(int argc, char **argv);

extern const char cmd_bench_usage[];
extern const char cmd_lab_usage[];

#endif
