import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { TextLogReader, type TextLogSummary, textRecords } from '../../src/log/reader.js';
import type { TextRecord } from '../../src/records/log-records.js';
import type { Finding } from '../../src/triage/finding.js';
import { logFindings } from '../../src/triage/log/log-findings.js';

/** A line as printk prints it: its prefix, without the caller, and its message. */
const PRINTK = /^(?:<\d{1,3}>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?/;

/** How a prefix changes a log. */
interface Carrier {
  readonly name: string;
  /**
   * What precedes each line (`all`), each line of printk (`kernel`), or replaces its prefix (`instead`): no kernel
   * time is known then.
   */
  readonly on: 'all' | 'kernel' | 'instead';
  prefix(line: number): string;
  readonly whole?: (text: string) => string;
}

const two = (number: number) => String(number % 60).padStart(2, '0');
const clock = (line: number) => `${two(11 + (line >> 12))}:${two(line >> 6)}:${two(line)}`;
const pick = <T>(list: readonly T[], line: number): T => list[line % list.length]!;
const LEVELS = ['info', 'warn', 'err', 'notice'];
const MONTHS = {
  en: ['Nov', 'Dec'],
  fr: ['févr.', 'août'],
  ru: ['апр', 'мая'],
  zh: ['11月', '12月'],
  de: ['Mär', 'Okt'],
  vi: ['thg 4', 'thg 5'],
} as const;
const month = (language: keyof typeof MONTHS, line: number) => pick(MONTHS[language], line >> 9);
const fixed = (on: Carrier['on'], prefixes: Readonly<Record<string, (line: number) => string>>): Carrier[] =>
  Object.entries(prefixes).map(([name, prefix]) => ({ name, on, prefix }));

const quotedPrintable = (text: string) =>
  text
    .split('\n')
    .map((line) =>
      Array.from(Buffer.from(line), (byte) =>
        byte === 61 || byte > 126 || byte < 32
          ? `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
          : String.fromCharCode(byte),
      ).join(''),
    )
    .map((line) => line.match(/(?:=..|[^=]){1,70}/g)?.join('=\n') ?? '')
    .join('\n');

/** A generator of numbers that depends on its seed alone. */
function numbers(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A made-up prefix: marks, words, numbers and times in any order. */
function madeUp(seed: number): Carrier {
  const random = numbers(seed);
  const kinds: ((line: number) => string)[] = [
    () => 'node-17',
    (line) => clock(line),
    (line) => `2025-06-04T${clock(line)}Z`,
    (line) => pick(['INFO', 'WARN'], line),
    (line) => String(line),
    () => 'ttyS0',
    (line) => `${two(line)}.${1000 + (line % 9000)}`,
    () => 'Nœud',
  ];
  const marks = [
    ['[', '] '],
    ['', ' '],
    ['', ': '],
    ['<', '> '],
    ['(', ') '],
    ['', ' | '],
    ['', '\t'],
  ] as const;
  const parts = Array.from(
    { length: 1 + random(4) },
    () => [pick(kinds, random(99)), pick(marks, random(99))] as const,
  );
  return {
    name: `made up ${seed}`,
    on: 'all',
    prefix: (line) => parts.map(([kind, [before, after]]) => before + kind(line) + after).join(''),
  };
}

/** Carriers of a log: programs, mails, languages; and those that are made up from a seed. */
export const CARRIERS: readonly Carrier[] = [
  ...fixed('all', {
    'console clock': (line) => `[2025-06-04 ${clock(line)}] `,
    'container time': (line) => `2025-06-04T${clock(line)}.123456789Z `,
    kubernetes: (line) => `2025-06-04T${clock(line)}.123456789Z stdout F `,
    compose: () => 'vm-1  | ',
    'quoted mail': () => '> ',
    'quoted twice': () => '> > ',
    indented: () => '    ',
    'grep -H': () => '/var/log/kern.log:',
    'grep -n': (line) => `${line + 1}:`,
    'grep -Hn': (line) => `host-1/dmesg.txt:${line + 1}:`,
    nl: (line) => `${String(line + 1).padStart(6)}\t`,
    'svlogd TAI64N': (line) =>
      `@40000000${(0x65a0b1c2 + line).toString(16)}${(line * 7919).toString(16).padStart(8, '0')} `,
    svlogd: (line) => `2025-06-04_${clock(line)}.12345 `,
    ts: (line) => `Jun 0${1 + (line % 9)} ${clock(line)} `,
  }),
  ...fixed('kernel', {
    syslog: (line) => `${month('en', line)} 22 ${clock(line)} web-1 kernel: `,
    'syslog of several hosts': (line) => `Nov 22 ${clock(line)} ${pick(['a', 'b.example.com'], line)} kernel: `,
    'syslog without host': (line) => `Nov  2 ${clock(line)} kernel: `,
    French: (line) => `${month('fr', line)} 16 ${clock(line)} host-1 kernel: `,
    Russian: (line) => `${month('ru', line)} 28 ${clock(line)} host-1 kernel: `,
    Chinese: (line) => `${month('zh', line)} 07 ${clock(line)} host-1 kernel: `,
    Vietnamese: (line) => `${month('vi', line)} 07 ${clock(line)} host-1 kernel: `,
    'short-iso': (line) => `2026-11-22T${clock(line)}+0100 web1 kernel: `,
    'short-full': (line) => `Sun 2026-11-22 ${clock(line)} CET web1 kernel: `,
    'short-unix': (line) => `${1_795_345_492 + line}.123456 web1 kernel: `,
    'no host, full': (line) => `Sun 2026-11-22 ${clock(line)} CET kernel: `,
    logread: (line) => `Sun Jul 27 ${clock(line)} 2025 kern.${pick(LEVELS, line)} kernel: `,
    crashlog: (line) => `Sun Jul 27 ${clock(line)} 2025 user.${pick(LEVELS, line)} crashlog: `,
    socklog: (line) => `2025-06-04_${clock(line)}.12345 kern.${pick(LEVELS, line)}: `,
    'grep in syslog': (line) => `/var/log/messages-2025:Nov 22 ${clock(line)} web1 kernel: `,
    'quoted syslog': (line) => `> Nov 22 ${clock(line)} web1 kernel: `,
  }),
  ...fixed('instead', {
    'dmesg -T': (line) => `[Sun Nov  2 ${clock(line)} 2026] `,
    'dmesg -T, German': (line) => `[Di Mär  3 ${clock(line)} 2026] `,
    'dmesg -T, Russian': (line) => `[Вс ноя 22 ${clock(line)} 2026] `,
    'dmesg -xT': (line) => `kern  :${pick(LEVELS, line).padEnd(6)}: [Sun Nov  2 ${clock(line)} 2026] `,
    'dmesg -x': (line) => `kern  :${pick(LEVELS, line).padEnd(6)}: `,
    'dmesg iso': (line) => `2026-11-22T${clock(line)},123456+01:00 `,
    'dmesg -d': () => '[<    0.000012>] ',
    'German journal': (line) => `${month('de', line)} 27 ${clock(line)} host-1 kernel: `,
    'syslog, no kernel time': (line) => `Nov 22 ${clock(line)} web1 kernel: `,
    'no host, no kernel time': (line) => `Nov 22 ${clock(line)} kernel: `,
    level: (line) => `<${line % 8}>`,
  }),
  {
    name: 'colours',
    on: 'kernel',
    prefix: () => '\x1b[32m',
    whole: (text) => text.replace(/^(.\[32m.*?\] )/gm, '$1\x1b[0m\x1b[33m'),
  },
  {
    name: 'HTML',
    on: 'all',
    prefix: () => '',
    whole: (text) =>
      `<pre>\n${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')}\n</pre>\n`,
  },
  {
    name: 'quoted-printable',
    on: 'all',
    prefix: () => '',
    whole: (text) => `Content-Transfer-Encoding: quoted-printable\n\n${quotedPrintable(text)}\n`,
  },
  { name: 'fenced', on: 'all', prefix: () => '', whole: (text) => `It hangs:\n\`\`\`\n${text}\n\`\`\`\n` },
  { name: 'carriage returns', on: 'all', prefix: () => '', whole: (text) => text.replaceAll('\n', '\r\n') },
  {
    name: 'docker JSON',
    on: 'all',
    prefix: () => '',
    whole: (text) =>
      text
        .split('\n')
        .map((log) => JSON.stringify({ log: `${log}\n`, stream: 'stdout', time: '2025-06-04T17:51:20.1Z' }))
        .join('\n'),
  },
  {
    name: 'crash',
    on: 'all',
    prefix: () => '',
    whole: (text) => `crash> log\n${text}\ncrash> bt 1\nPID: 1  TASK: ffff8881  CPU: 0  COMMAND: "x"\n`,
  },
  ...Array.from({ length: 12 }, (_, seed) => madeUp(seed)),
];

/** A log with the prefix of a carrier, and the plain log that has the same answer. */
export function carried(
  text: string,
  { on, prefix, whole }: Carrier,
): { readonly plain: string; readonly text: string } {
  const lines = text.replaceAll('\r', '').split('\n');
  const isOfKernel = (line: string) => PRINTK.test(line);
  const changed = lines.map((line, index) => {
    if (on === 'all') return prefix(index) + line;
    if (!isOfKernel(line)) return line;
    return prefix(index) + (on === 'instead' ? line.replace(PRINTK, '') : line);
  });
  const plain = on === 'instead' ? lines.map((line) => line.replace(PRINTK, '[    1.000000] ')) : lines;
  const joined = changed.join('\n');
  return { plain: plain.join('\n'), text: whole ? whole(joined) : joined };
}

const PLAIN = new Map<string, readonly Finding[]>();

/** Findings of a plain log, which many carriers have. */
function plainFindings(text: string): readonly Finding[] {
  const known = PLAIN.get(text) ?? logFindings(textRecords(text), 4096);
  if (PLAIN.size > 100) PLAIN.clear();
  PLAIN.set(text, known);
  return known;
}

/** What a log's findings say: without line numbers, and without times unless both logs have them. */
function said(findings: readonly Finding[], isTimed: boolean): unknown[] {
  return findings.map(({ code, severity, title, figures, report, evidence }) => {
    const lines = evidence.map((one) => (one.kind === 'log' ? [one.text, isTimed ? one.timestamp : null] : []));
    return { code, severity, title, figures, report, lines };
  });
}

/** Whether a log is one of printk or a console, whose lines a carrier can change. */
export function isOfPrintk(text: string): boolean {
  const messages = textRecords(text).filter(({ bare }) => !bare).length;
  return messages > 1 && text.split('\n').filter((line) => PRINTK.test(line)).length >= messages * 0.9;
}

/** Expects that a carrier changes neither the findings of a log nor the number of its messages. */
export function expectAlike(text: string, carrier: Carrier): void {
  // A prefix is before each message, also before those behind other output on a console.
  const lines = text.split('\n').flatMap((line) => line.split(/(?<=[^\s>\]])(?=\[ *\d+\.\d{6}\] )/));
  // Only the first line of a text may have lost its beginning.
  const first = lines.findIndex((line) => PRINTK.test(line));
  const { plain, text: changed } = carried(lines.slice(first).join('\n'), carrier);
  const isTimed = carrier.on !== 'instead';
  const read = readLog(changed);
  expect(said(logFindings(read.records, 4096), isTimed)).toEqual(said(plainFindings(plain), isTimed));
  // Lines are counted as messages by the code that splits them.
  expect(read.summary.messages).toBe(read.records.filter(({ bare }) => !bare).length);
}

/** The messages of a text, and what the reader says of it. */
function readLog(text: string): { readonly records: TextRecord[]; readonly summary: TextLogSummary } {
  const records: TextRecord[] = [];
  const reader = new TextLogReader({ take: (record) => void records.push(record), isOpen: true, triggers: /^/ });
  reader.push(Buffer.from(text));
  return { records, summary: reader.end() };
}

/** Carriers that change the findings of a log whose lines have no prefix of printk, if they are on each line. */
export function changedBy(raw: string): string[] {
  const text = raw.replaceAll('\r', '');
  const plain = readLog(text);
  const findings = plainFindings(text);
  const isUnknown = plain.summary.format === undefined;
  // The tag of the kernel before each line would also claim lines that have none.
  const able = CARRIERS.filter(({ on, name }) => name !== 'colours' && (on === 'all' || isUnknown));
  const isChanged = (carrier: Carrier) => {
    const found = logFindings(textRecords(carried(text, { ...carrier, on: 'all' }).text), 4096);
    return !isDeepStrictEqual(said(found, false), said(findings, false));
  };
  return able.filter(isChanged).map(({ name }) => name);
}
