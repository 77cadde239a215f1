import { isIP } from 'node:net';
import { Addresses } from '../../extract/anonymize/addresses.js';
import type { Names } from '../../extract/anonymize/names.js';
import { isHeading, LineCutter } from '../../host/ss/lines.js';
import { withoutKeys } from '../ss-keys.js';
import { bytesOfAddress, textOfAddress } from './address-text.js';

/** Rewrites rows of ss: addresses, interfaces, cgroups. Ports, figures and inodes stay. */
export class SsRows {
  readonly #addresses = new Addresses();
  readonly #interfaces: Names;
  readonly #cgroup: (path: string) => string;

  /**
   * @param cgroup makes a path of a cgroup
   * @param interfaces makes names of network devices
   */
  constructor(cgroup: (path: string) => string, interfaces: Names) {
    this.#cgroup = cgroup;
    this.#interfaces = interfaces;
  }

  into(write: (text: string) => void): LineCutter {
    return new LineCutter((bytes, from, to) => {
      write(`${this.row(bytes.toString('latin1', from, to))}\n`);
    });
  }

  row(line: string): string {
    if (isHeading(line)) return line;
    const bare = withoutKeys(line);
    // What goes on from the line before has no ends.
    const [head, tail] = [/^\s/.test(line) ? 'tail' : 'head', 'tail'] as const;
    const at = bare.indexOf(CGROUP);
    if (at < 0) return this.#words(bare, head);
    const [path, after] = cgroupIn(bare.slice(at + CGROUP.length));
    return `${this.#words(bare.slice(0, at), head)}${CGROUP}${this.#cgroup(path)}${this.#words(after, tail)}`;
  }

  #words(text: string, part: 'head' | 'tail'): string {
    let column = 0;
    return text
      .split(/( +)/)
      .map((word) => {
        if (word === '' || word.startsWith(' ')) return word;
        column++;
        // Netid, State, Recv-Q, Send-Q, then the two ends.
        if (part === 'head' && (column === 5 || column === 6)) return this.#end(word);
        // Of SCTP, whose ends have several.
        const [, which, hosts] = /^(locals|peers):(.*)$/.exec(word) ?? [];
        if (hosts === undefined) return word;
        return `${which}:${hosts
          .split(',')
          .map((host) => this.#host(host))
          .join(',')}`;
      })
      .join('');
  }

  /** `ADDRESS%INTERFACE:PORT`; a packet socket has its interface where others have a port. */
  #end(word: string): string {
    const colon = word.lastIndexOf(':');
    if (colon < 0) return /^(?:\*|\d+)$/.test(word) ? word : this.#interface(word);
    const port = word.slice(colon + 1);
    const shownPort = /^(?:\*|\d+)$/.test(port) ? port : this.#interface(port);
    return `${this.#host(word.slice(0, colon))}:${shownPort}`;
  }

  #host(host: string): string {
    const [, open = '', address = '', scope, close = ''] =
      /^(\[?)([^\]%]*)(?:%([^\]]*))?(\]?)$/.exec(host) ?? [];
    const link = scope === undefined ? '' : `%${this.#interface(scope)}`;
    return `${open}${this.#address(address)}${link}${close}`;
  }

  #address(address: string): string {
    const kind = isIP(address);
    // `*`, numbers of vsock, protocols of packet sockets.
    if (kind === 0) return /^[*\w]{0,20}$/.test(address) ? address : '*';
    const bytes = bytesOfAddress(address);
    return textOfAddress(kind === 4 ? this.#addresses.v4(bytes) : this.#addresses.v6(bytes));
  }

  #interface(name: string): string {
    if (name === 'lo' || name === '*' || name === '') return name;
    return Buffer.from(this.#interfaces.of(Buffer.from(name, 'latin1'))).toString('latin1');
  }
}

const CGROUP = ' cgroup:';

/**
 * A cgroup's name may hold blanks, and words of ss: its path goes as far as the last of ss's own that follow it, which
 * are the flag of IPv6 alone and the ways that are open (`<->`), or memory.
 *
 * @returns the path, and what follows it
 */
function cgroupIn(text: string): readonly [string, string] {
  const ways = /^.*(?= [-<]-[->](?: |$))/.exec(text)?.[0].length;
  const memory = text.lastIndexOf(' skmem:(');
  const path = text
    .slice(0, ways ?? (memory < 0 ? text.length : memory))
    .replace(/ v6only:[01]$/, '');
  return [path, text.slice(path.length)];
}
