import { LEFT_OUT_NAME } from './contents.js';

/**
 * Messages that repeat the kernel's command line, or words of it: setup and start_kernel ("Command
 * line:", "Kernel command line:", "Unknown kernel command line parameters"), dracut ("Using kernel
 * command line parameters:"), and words that the kernel rejects (init/main.c, kernel/params.c). The
 * text after them is masked.
 */
const REPEATS = [
  '[Cc]ommand line[^:"]*[:"]',
  'Malformed early option ',
  'Unknown boot option ',
  'Booting kernel: ',
] as const;

/**
 * run_init_process() prints the words passed to init, one per line, each after four spaces. Messages of
 * other CPUs may be in between.
 */
const BEFORE_WORDS = '  with \\(arguments\\|environment\\):$';
const WORD = '\\([];] \\{0,1\\}\\)    [^ ].*$';

/** The same for both collectors: sed's basic expressions, for `sed -f` or one `-e` each. */
export const COMMAND_LINE_SED: readonly string[] = [
  ...REPEATS.map((before) => `s/\\(${before}\\).*$/\\1 ${LEFT_OUT_NAME}/`),
  `/${BEFORE_WORDS}/,$s/${WORD}/\\1    ${LEFT_OUT_NAME}/`,
];

const [REPEATED, WORDS_FOLLOW, ONE_WORD] = [
  new RegExp(`(${REPEATS.join('|')}).*$`),
  pattern(BEFORE_WORDS),
  pattern(WORD),
];

function pattern(basic: string): RegExp {
  return new RegExp(basic.replace(/\\([(){}|])/g, '$1').replace('[];]', '[\\];]'));
}

/** Masks the kernel's command line in its log, a stream of lines of /dev/kmsg or dmesg. */
export class CommandLineMask {
  readonly #write: (bytes: Buffer) => void;
  #rest = '';
  #wordsFollow = false;

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  push(bytes: Buffer): void {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    if (lines.length > 0) this.#put(lines.map((line) => `${this.#masked(line)}\n`).join(''));
  }

  end(): void {
    if (this.#rest !== '') this.#put(this.#masked(this.#rest));
    this.#rest = '';
  }

  #masked(line: string): string {
    if (WORDS_FOLLOW.test(line)) this.#wordsFollow = true;
    const masked = line.replace(REPEATED, `$1 ${LEFT_OUT_NAME}`);
    return this.#wordsFollow ? masked.replace(ONE_WORD, `$1    ${LEFT_OUT_NAME}`) : masked;
  }

  #put(text: string): void {
    this.#write(Buffer.from(text, 'latin1'));
  }
}
