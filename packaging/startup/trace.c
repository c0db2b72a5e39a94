// Which functions of a program are called, each told once, in the order of their first call (Linux on x86-64).
//
//   trace ADDRESSES SECONDS PROGRAM ARGUMENTS...
//
// ADDRESSES is a file with the address of each function as nm(1) tells it, a line each. Each gets a breakpoint, which goes at
// its first call. The program gets SIGTERM after SECONDS. What was called comes on stdout, a line each, as in ADDRESSES.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct function {
  unsigned long address;
  unsigned char first_byte;
  int is_called;
};

static struct function *functions;
static size_t count;

static int by_address(const void *a, const void *b) {
  unsigned long x = ((const struct function *)a)->address, y = ((const struct function *)b)->address;
  return x < y ? -1 : x > y;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void read_addresses(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  char line[64];
  while (fgets(line, sizeof line, file)) {
    functions = realloc(functions, (count + 1) * sizeof *functions);
    if (!functions) die("realloc");
    functions[count++] = (struct function){.address = strtoul(line, NULL, 16)};
  }
  fclose(file);
  qsort(functions, count, sizeof *functions, by_address);
}

// Where the program itself is mapped: the first line of its maps.
static unsigned long base_of(pid_t pid) {
  char path[64], line[64];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "r");
  if (!maps || !fgets(line, sizeof line, maps)) die(path);
  fclose(maps);
  return strtoul(line, NULL, 16);
}

// A thread stands behind a breakpoint of ours: it goes back to the function's first byte, which is put right.
static int at_function(pid_t thread, int memory, unsigned long base) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, thread, 0, &registers)) return 0;
  struct function key = {.address = registers.rip - 1 - base};
  struct function *function = bsearch(&key, functions, count, sizeof key, by_address);
  if (!function) return 0;
  if (!function->is_called) {
    function->is_called = 1;
    printf("%016lx\n", function->address);
    if (pwrite(memory, &function->first_byte, 1, (off_t)(base + function->address)) != 1) die("write");
  }
  registers.rip--;
  ptrace(PTRACE_SETREGS, thread, 0, &registers);
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 4) return 64;
  read_addresses(argv[1]);
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(argv[3], argv + 3);
    die(argv[3]);
  }
  int status;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, pid, 0, 0);
  waitpid(pid, &status, 0);
  unsigned long base = base_of(pid);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int memory = open(path, O_RDWR);
  if (memory < 0) die(path);
  for (size_t i = 0; i < count; i++) {
    off_t at = (off_t)(base + functions[i].address);
    const unsigned char breakpoint = 0xcc;
    if (pread(memory, &functions[i].first_byte, 1, at) != 1 || pwrite(memory, &breakpoint, 1, at) != 1) die("breakpoint");
  }
  ptrace(PTRACE_CONT, pid, 0, 0);
  time_t stop_at = time(NULL) + atoi(argv[2]);
  for (int is_told = 0;;) {
    pid_t thread = waitpid(-1, &status, __WALL | WNOHANG);
    if (thread < 0) return 1;
    if (thread == 0) {
      if (!is_told && time(NULL) >= stop_at) {
        kill(pid, SIGTERM);
        is_told = 1;
      }
      usleep(200);
      continue;
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread == pid) return status != 0;
      continue;
    }
    int sig = WSTOPSIG(status), is_event = status >> 16;
    // A new thread begins with SIGSTOP; its start and the exec are events.
    int is_ours = is_event || sig == SIGSTOP || (sig == SIGTRAP && at_function(thread, memory, base));
    ptrace(PTRACE_CONT, thread, 0, (void *)(long)(is_ours ? 0 : sig));
  }
}
