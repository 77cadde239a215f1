// Writes a synthetic journal of this many MB, in which each third line is the kernel's, with a crash in its middle.
import { closeSync, openSync, writeSync } from 'node:fs';

const [path, megabytes] = process.argv.slice(2);
const MESSAGES = [
  'usb 1-1: new high-speed USB device number 4 using xhci_hcd',
  'audit: type=1400 audit(1700000000.123:456): apparmor="ALLOWED" operation="open" profile="x" pid=77',
  'IPv4: martian source 10.0.0.1 from 10.0.0.2, on dev eth0',
  'EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null)',
  'nfs: server web OK',
  'docker0: port 1(veth123) entered blocking state',
];
const CRASH = [
  'BUG: kernel NULL pointer dereference, address: 0000000000000010',
  'Oops: 0000 [#1] SMP',
  'CPU: 1 UID: 0 PID: 7 Comm: sh Not tainted 6.12.0 #1',
  'RIP: 0010:my_read+0x1/0x10',
  'Call Trace:',
  ' vfs_read+0x1/0x2',
  '---[ end trace 0000000000000000 ]---',
];
const least = Number(megabytes) * 1e6;
const file = openSync(path, 'w');
let [text, bytes, crashed] = ['', 0, false];
for (let line = 0; bytes < least; line++) {
  const begins = `Nov 22 11:${String(line % 60).padStart(2, '0')}:52 web1 `;
  const time = `[${String(line % 99_999).padStart(5)}.123456]`;
  if (!crashed && bytes > least / 2) {
    crashed = true;
    for (const message of CRASH) text += `${begins}kernel: ${time} ${message}\n`;
  }
  text +=
    line % 3 === 0
      ? `${begins}kernel: ${time} ${MESSAGES[(line / 3) % MESSAGES.length]}\n`
      : `${begins}sshd[${line % 9999}]: Accepted publickey for root from 10.0.0.${line % 255} port 4242 ssh2\n`;
  if (text.length < 1 << 20) continue;
  bytes += writeSync(file, text);
  text = '';
}
writeSync(file, text);
closeSync(file);
