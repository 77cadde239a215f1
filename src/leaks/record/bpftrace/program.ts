/** Format of a printed stack: `raw` has only addresses, `perf` has names after them (before about 0.18). */
export type StackMode = 'raw' | 'perf';

/** Parameters of a program: only numbers, so that nothing from outside is ever quoted into it. */
export interface ProgramOrder {
  readonly stackMode: StackMode;
  /** Minimum order of followed blocks; 0: all. */
  readonly minOrder: number;
  /** Pid whose allocations are followed, in the first pid namespace; null: all. */
  readonly pid: number | null;
  /** `kill(signals + COMMAND, 0)` by any process is a command to the program. */
  readonly signals: number;
  /** The kernel has page_pool:page_pool_state_hold, which names bulk-allocated pages. */
  readonly poolPages: boolean;
  /** The program exits after this time, in case its parent cannot stop it. */
  readonly mostSeconds: number;
}

/** Commands to the program. */
export const COMMANDS = { begin: 0, window: 1, end: 2 } as const;

/** Number of frames per stack: the kernel reserves room for that many in each of 131,072 stacks. */
export const STACK_DEPTH = 32;

/** Common id of all stacks that found no room. */
export const OTHER_STACKS_ID = 1;

/** Number of orders: MAX_PAGE_ORDER is at most 13. */
const ORDERS = 14;

/** Fields of a block in the program: current order, order as allocated, thread, time. */
export const META = { orderBits: 4, tidShift: 8, tidBits: 22, timeShift: 30, timeUnit: 24 } as const;

/**
 * Returns a program that follows blocks of page frames in the kernel.
 *
 * Maps: `@b` contains the held blocks by first frame: stack number and {@link META}. `@h` contains the number
 * of frames held by each stack. `@i` contains the stack numbers: each CPU has its own, so that no number is
 * used twice (programs do not interrupt each other on one CPU).
 *
 * Counts from `begin` to `end`: `@a` and `@f` events, `@x` and `@y` frames, allocated and freed. Counts over
 * the whole run: `@d` blocks that found no room, `@m` allocations of memory that was still held, `@u` frees
 * of unknown blocks, `@c` frees of parts. `@o` contains, by order, the blocks whose frees since `begin` match
 * no allocation, minus allocated blocks that are not followed.
 *
 * A block that is freed in parts is split as in the buddy allocator: the remainder stays held, in halves.
 */
export function bpftraceProgram(order: ProgramOrder): string {
  const { minOrder, pid, signals, poolPages, mostSeconds } = order;
  numbersOnly({ minOrder, pid: pid ?? 0, signals, mostSeconds });
  const ofPid = pid === null ? [] : [`pid == ${pid}`];
  const wanted = [...(minOrder > 0 ? [`$o >= ${minOrder}`] : []), ...ofPid].join(' && ');
  return `
BEGIN
{
  @on = (int64)0;
  @n[cpu] = (int64)0;
  @b[(int64)0] = ((int64)0, (int64)0);
  delete(@b[(int64)0]);
  @h[(int64)0] = sum((int64)0);
  delete(@h[(int64)0]);
  @o[(int64)0] = sum((int64)0);
}
tracepoint:kmem:mm_page_free
{
  $p = (int64)args->pfn;
  $o = (int64)args->order;
  if (@on == 1) {
    @f = count();
    @y = sum((int64)1 << $o);
  }
  $v = @b[$p];
  if ($v.0 > 0 && ($v.1 & 15) == $o) {
    delete(@b[$p]);
    @h[$v.0] = sum(-((int64)1 << $o));
  } else {${partOf()}
  }
}
tracepoint:kmem:mm_page_alloc
{
  if (@on == 1 && (int64)args->pfn != -1) {
    $p = (int64)args->pfn;
    $o = (int64)args->order;
    @a = count();
    @x = sum((int64)1 << $o);
    $old = @b[$p];
    if ($old.0 > 0) {
      delete(@b[$p]);
      @h[$old.0] = sum(-((int64)1 << ($old.1 & 15)));
      @m = count();
    }${
      wanted === ''
        ? allocated(order)
        : `
    if (${wanted}) {${allocated(order)}
    } else {
      @o[$o] = sum((int64)-1);
    }`
    }
  }
}
${poolPages ? poolPage(order, ofPid.join(' && ')) : ''}
tracepoint:syscalls:sys_enter_kill
/ args->sig == 0 && args->pid >= ${signals} && args->pid <= ${signals + COMMANDS.end} /
{
  if (args->pid == ${signals + COMMANDS.begin}) {
    @on = (int64)1;
    printf("begun %llu\\n", (uint64)nsecs);
  }
  if (args->pid == ${signals + COMMANDS.window}) {
    printf("window %llu\\n", (uint64)nsecs);
    print(@h);
    print(@o);
    printf("shown\\n");
  }
  if (args->pid == ${signals + COMMANDS.end}) {
    @on = (int64)2;
    printf("ended %llu\\n", (uint64)nsecs);
  }
}
interval:s:1
{
  print(@a);
  print(@f);
  printf("alive\\n");
}
interval:s:${mostSeconds}
{
  exit();
}
END
{
  printf("held\\n");
  print(@b);
  print(@h);
  print(@o);
  print(@i);
  print(@a);
  print(@f);
  print(@x);
  print(@y);
  print(@c);
  print(@d);
  print(@m);
  print(@u);
  printf("whole\\n");
}
`;
}

/** A free that is not of a complete block: of a part of one, or of an unknown block. */
function partOf(): string {
  return `
    $id = (int64)0;
    $m = (int64)0;
    $at = (int64)0;
    $k = (int64)0;
    unroll(${ORDERS}) {
      $k = $k + 1;
      if ($id == 0 && $k > $o) {
        $c = ($p >> $k) << $k;
        $w = @b[$c];
        if ($w.0 > 0 && ($w.1 & 15) >= $k) {
          $id = $w.0;
          $m = $w.1;
          $at = $c;
        }
      }
    }
    if ($id > 0) {
      @c = count();
      delete(@b[$at]);
      $gone = (int64)1 << $o;
      $q = $m & 15;
      unroll(${ORDERS}) {
        $q = $q - 1;
        if ($q >= $o) {
          $half = (int64)1 << $q;
          $keep = $at;
          if ($p < $at + $half) {
            $keep = $at + $half;
          } else {
            $at = $at + $half;
          }
          @b[$keep] = ($id, $m - ($m & 15) + $q);
          if (@b[$keep].0 != $id) {
            $gone = $gone + $half;
            @d = count();
          }
        }
      }
      @h[$id] = sum(-$gone);
    } else {
      @u = count();
      if (@on == 1) {
        @o[$o] = sum((int64)1);
      }
      if ($v.0 > 0) {
        delete(@b[$p]);
        @h[$v.0] = sum(-((int64)1 << ($v.1 & 15)));
      }
    }`;
}

/** Stores a block; reading it back shows whether there was room. */
function allocated({ stackMode }: ProgramOrder): string {
  const stack = `@i[kstack(${stackMode}, ${STACK_DEPTH}), cpu]`;
  return `
    $id = ${stack};
    if ($id == 0) {
      $n = @n[cpu] + (int64)1;
      @n[cpu] = $n;
      $id = $n * (int64)16384 + (int64)cpu;
      ${stack} = $id;
      if (${stack} != $id) {
        $id = (int64)${OTHER_STACKS_ID};
      }
    }
    $meta = $o | ($o << ${META.orderBits}) | ((int64)tid << ${META.tidShift}) | ((int64)(nsecs >> ${META.timeUnit}) << ${META.timeShift});
    @b[$p] = ($id, $meta);
    if (@b[$p].0 == $id) {
      @h[$id] = sum((int64)1 << $o);
    } else {
      @d = count();
    }`;
}

/** A page whose allocation was seen is already held, as a block or as the first page of one. */
function poolPage(order: ProgramOrder, ofPid: string): string {
  return `
tracepoint:page_pool:page_pool_state_hold
{
  $p = (int64)args->pfn;
  $o = (int64)0;
  if (@on == 1 && @b[$p].0 == 0) {
    @x = sum((int64)1);${when(ofPid, allocated(order))}
  }
}`;
}

function when(condition: string, text: string): string {
  return condition === '' ? text : `\n    if (${condition}) {${text}\n    }`;
}

function numbersOnly(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers))
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name}: ${value}`);
}
