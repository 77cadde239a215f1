/** Undoes what carried a log: objects of containers, colours, HTML, quoted-printable mail. Text has one character per byte. */
export type TextDecoder = (text: string) => string;

const ESC = '\x1b';
const COLOUR = new RegExp(`${ESC}\\[[\\d;:?]{0,32}[A-Za-z]`, 'g');
/** Colours at the beginning of a line, or of a message: those of `dmesg --color` and journalctl. */
const COLOURED = new RegExp(`(?:^|\\] |: )${ESC}\\[[\\d;]{0,32}m`, 'm');

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: ' ' };
const ENTITY = /&(?:(lt|gt|amp|quot|apos|nbsp)|#(\d{2,3})|#x([0-9a-fA-F]{2}));/g;
const HTML_LIKE = /&lt;(?:\d|IRQ|TASK|NMI|\/|\w+&gt;)|-&gt;|&(?:quot|nbsp|#39|#x27|#34);|\] &lt;/;
/** Elements of HTML. The kernel's own (`<IRQ>`, `<TASK>`) have capitals. */
const ELEMENT = /<\/?(?:pre|code|span|div|p|br|b|i|u|font|a|td|tr|li)(?: [^<>\n]{0,200})?\/?>/g;

/** A header of a mail, or `=` that occurs only as quoted-printable writes it. */
const IS_QUOTED = /^Content-Transfer-Encoding: quoted-printable/im;
const NOT_QUOTED = /=(?![0-9A-F]{2}|\r?\n|$)/;

/** A line of a container's log, whose messages have prefixes of their own. The journal's have another name. */
const OBJECT = /^\{(?!.{0,4096}"MESSAGE":).{0,4096}?"(?:log|message)":/m;
const OBJECTS = /^\{".*\}\r?$/gm;

/** A carriage return that ends a line alone: consoles, and programs that overwrite their line. */
const RETURN = /\r(?=(?:<\d{1,3}>)?\[ *\d{1,9}\.\d{6}\])/;
const RETURNS = new RegExp(RETURN, 'g');

function withoutColours(text: string): string {
  return text.includes(ESC) && COLOURED.test(text) ? text.replace(COLOUR, '') : text;
}

function withoutHtml(text: string): string {
  return text.replace(ELEMENT, '').replace(ENTITY, (all, name: string, decimal: string, hex: string) => {
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return name ? (ENTITIES[name] ?? all) : code >= 32 && code < 127 ? String.fromCharCode(code) : all;
  });
}

function withoutQuoting(text: string): string {
  return text
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** Messages in place of objects. A line feed in one is escaped as rsyslog does. */
function withoutObjects(text: string): string {
  return text.replace(OBJECTS, (line) => {
    let entry: unknown;
    try {
      entry = JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
    } catch {
      return line;
    }
    const fields = new Map<string, unknown>(Object.entries(entry ?? {}));
    const message = fields.get('log') ?? (fields.has('MESSAGE') ? undefined : fields.get('message'));
    if (typeof message !== 'string' || message.startsWith('{')) return line;
    return Buffer.from(message.trimEnd().replaceAll('\n', '#012')).toString('latin1');
  });
}

/** The decoder of a text, by its beginning. */
export function decoderOf(sample: string): TextDecoder {
  const steps: TextDecoder[] = [(text) => (text.includes('\0') ? text.replaceAll('\0', '') : text)];
  if (OBJECT.test(sample)) steps.push(withoutObjects);
  const isQuoted = /=(?:3D|\r?\n)/.test(sample) && (IS_QUOTED.test(sample) || !NOT_QUOTED.test(sample));
  if (isQuoted) steps.push(withoutQuoting);
  if (HTML_LIKE.test(sample)) steps.push(withoutHtml);
  steps.push(withoutColours);
  if (RETURN.test(sample)) steps.push((text) => text.replace(RETURNS, '\n'));
  return (text) => steps.reduce((done, step) => step(done), text);
}
