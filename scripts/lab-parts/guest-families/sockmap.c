// TCP sockets in BPF's sockmaps: what is sent does not wait in their queues but in messages of sockmap's
// own. Programs are written in BPF's instructions, since a guest has no compiler for them.
#include "families.h"

#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int new_map(void) {
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_SOCKMAP,
                               .key_size = sizeof(uint32_t),
                               .value_size = sizeof(uint32_t),
                               .max_entries = 2};
  return bpf(BPF_MAP_CREATE, &attributes);
}

static int put(int map, uint32_t key, int fd) {
  uint32_t value = (uint32_t)fd;
  union bpf_attr attributes = {
      .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
  return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

static int attach(int map, int type, int attach_type, const struct bpf_insn *code, size_t count) {
  union bpf_attr load = {.prog_type = (uint32_t)type,
                         .insns = (uintptr_t)code,
                         .insn_cnt = (uint32_t)count,
                         .license = (uintptr_t) "GPL"};
  int program = bpf(BPF_PROG_LOAD, &load);
  if (program < 0) return -1;
  union bpf_attr attributes = {.target_fd = (uint32_t)map,
                               .attach_bpf_fd = (uint32_t)program,
                               .attach_type = (uint32_t)attach_type};
  return bpf(BPF_PROG_ATTACH, &attributes);
}

#define ALU(operation, to, value) \
  { .code = BPF_ALU64 | (operation) | BPF_K, .dst_reg = (to), .imm = (value) }
#define CALL(helper) {.code = BPF_JMP | BPF_CALL, .imm = (helper)}
#define EXIT {.code = BPF_JMP | BPF_EXIT}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void send_pieces(int fd, int count, size_t size) {
  static char bytes[8192];
  memset(bytes, 'b', sizeof bytes);
  for (int i = 0; i < count; i++) send(fd, bytes, size, 0);
  usleep(200000);
}

// Each segment that arrives becomes a message that holds its skb.
static void passed(void) {
  const struct bpf_insn pass[] = {ALU(BPF_MOV, BPF_REG_0, SK_PASS), EXIT};
  int server, client, map = new_map();
  if (map < 0 ||
      attach(map, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT, pass, COUNT(pass)) != 0 ||
      !connected(0, 9106, &server, &client) || put(map, 0, server) != 0) {
    missing("sockmap with a verdict");
    return;
  }
  send_pieces(client, 20, 1000);
  tell("sockmap-passed", server, "\"unread\": 20000");
}

// What is sent goes straight to another socket: messages that hold pages.
static void redirected(void) {
  int server, client, map = new_map();
  const struct bpf_insn redirect[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM,
       .dst_reg = BPF_REG_2,
       .src_reg = BPF_PSEUDO_MAP_FD,
       .imm = map},
      {0},
      ALU(BPF_MOV, BPF_REG_3, 0),
      ALU(BPF_MOV, BPF_REG_4, BPF_F_INGRESS),
      CALL(BPF_FUNC_msg_redirect_map),
      EXIT,
  };
  if (map < 0 ||
      attach(map, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, redirect, COUNT(redirect)) != 0 ||
      !connected(0, 9107, &server, &client) || put(map, 0, server) != 0 ||
      put(map, 1, client) != 0) {
    missing("sockmap that redirects");
    return;
  }
  send_pieces(client, 10, 3000);
  tell("sockmap-redirected", server, "\"unread\": 30000");
}

// What is sent waits until there is more of it.
static void corked(void) {
  const struct bpf_insn cork[] = {
      ALU(BPF_MOV, BPF_REG_2, 100000),
      CALL(BPF_FUNC_msg_cork_bytes),
      ALU(BPF_MOV, BPF_REG_0, SK_PASS),
      EXIT,
  };
  int server, client, map = new_map();
  if (map < 0 || attach(map, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, cork, COUNT(cork)) != 0 ||
      !connected(0, 9108, &server, &client) || put(map, 0, client) != 0) {
    missing("sockmap that holds back");
    return;
  }
  send_pieces(client, 5, 2000);
  tell("sockmap-corked", client, "\"held\": 10000");
}

// A parser says that a message is longer than what has come of it: that waits in the parser.
static void assembled(void) {
  const struct bpf_insn length[] = {ALU(BPF_MOV, BPF_REG_0, 10000), EXIT};
  const struct bpf_insn pass[] = {ALU(BPF_MOV, BPF_REG_0, SK_PASS), EXIT};
  int server, client, map = new_map();
  if (map < 0 ||
      attach(map, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER, length, COUNT(length)) != 0 ||
      attach(map, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, pass, COUNT(pass)) != 0 ||
      !connected(0, 9109, &server, &client) || put(map, 0, server) != 0) {
    missing("sockmap with a parser");
    return;
  }
  send_pieces(client, 3, 2000);
  tell("sockmap-assembled", server, "\"part\": 6000");
}

void sockmap(void) {
  passed();
  redirected();
  corked();
  assembled();
}
