import { InvalidArgumentError } from 'commander';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** An address and a port to listen on. */
export function parseListen(text: string): ListenAddress {
  const found = /^(?:(\d+\.\d+\.\d+\.\d+|localhost)|\[([0-9a-f:]+)\]):(\d{1,5})$/i.exec(text);
  const port = Number(found?.[3]);
  if (!found || port > 65_535)
    throw new InvalidArgumentError('It takes an address and a port: 127.0.0.1:9700, [::1]:9700.');
  return { host: found[1] ?? found[2] ?? '', port };
}
