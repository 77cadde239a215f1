/** How a stack is printed: `raw` is addresses alone, `perf` has names behind them (before 0.18 or so). */
export type StackMode = 'raw' | 'perf';

/** What a program is made of: numbers alone, so that nothing from outside is ever quoted into it. */
export interface ProgramOrder {
  readonly stackMode: StackMode;
  /** Smaller blocks are not followed; 0: all are. */
  readonly minOrder: number;
  /** Whose allocations are followed, as the first pid namespace has it; null: everybody's. */
  readonly pid: number | null;
  /** `kill(signals + COMMAND, 0)` of any process tells the program what to do. */
  readonly signals: number;
  /** The kernel has page_pool:page_pool_state_hold, which names pages that were taken in bulk. */
  readonly poolPages: boolean;
  /** It ends by itself then, should nobody be there to end it. */
  readonly mostSeconds: number;
}

/** What a program can be told. */
export const COMMANDS = { begin: 0, window: 1, end: 2 } as const;

/** Frames of a stack that are kept: the kernel takes room for so many of each of 131,072 stacks. */
export const STACK_DEPTH = 32;

/** Stacks that found no room are one. */
export const OTHER_STACKS_ID = 1;

/** log2 of the largest block: MAX_PAGE_ORDER is 13 at most. */
const ORDERS = 14;

/** What a block is in the program: order now, order as allocated, thread, when. */
export const META = {
  orderBits: 4,
  tidShift: 8,
  tidBits: 22,
  timeShift: 30,
  timeUnit: 24,
} as const;

/**
 * Follows blocks of page frames in the kernel. Its maps: `@b` blocks that are held, by their first frame: the
 * number of a stack, and {@link META}; `@h` frames that a stack holds; `@i` numbers of stacks, each CPU has its own,
 * so that none is given twice (programs do not interrupt each other on one CPU). Counts, from `begin` to `end`:
 * `@a`, `@f` events; `@x`, `@y` frames allocated and freed; and of all times `@d` blocks that found no room,
 * `@m` allocations where something was held, `@u` frees of what is not known, `@c` of parts. `@o` has by order, of
 * blocks: frees from `begin` on that match no allocation, less what was allocated and is not followed.
 *
 * What is freed by parts is cut as the buddy allocator does it: what is left of a block stays held, in halves.
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

/** A free that is no whole block: of a part of one, or of what is not known. */
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

/** Keeps a block; whether there was room is seen by looking. */
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

/** One that was seen as it was allocated is held, by itself or as the first of its block. */
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
