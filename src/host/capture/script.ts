import { HOST } from './script/host.js';
import { PACK } from './script/pack.js';
import { SAMPLES } from './script/samples.js';
import { SETUP } from './script/setup.js';
import { SOCKETS } from './script/sockets.js';

/**
 * The snapshot by POSIX sh, and tar, cat, ls, grep, sed, find, xargs, cksum, tr, cut, head, wc, sort, mkdir,
 * mktemp, sleep, gzip; `ss`, and `nsenter` or `ip`, `dd`, `dmesg`, `stat`, `renice`, `ionice` where they
 * are. For hosts where not even Node fits, and for `skcheck --capture`. contents.ts says what it takes, and
 * docs/snapshot.md how that lies in the archive. It changes nothing.
 *
 * It writes all of it or ends with status 3 and one line; 2 for a wrong command line. The last member of
 * the archive, `manifest`, names all others with what cksum says of them; see manifest.ts.
 */
export const CAPTURE_SCRIPT = [SETUP, HOST, SOCKETS, SAMPLES, PACK].join('');
