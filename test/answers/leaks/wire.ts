/**
 * Reads protocol buffers by their wire format (protobuf.dev/programming-guides/encoding), without
 * our own code.
 */

/** A number, or the bytes of a string, a message or a packed list. */
type Value = bigint | Buffer;

/** The values of each field, in order. */
export function fieldsOf(bytes: Buffer): Map<number, Value[]> {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const varint = (): bigint => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      shift += 7n;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    let value: Value;
    if (tag % 8 === 0) value = varint();
    else if (tag % 8 === 2) {
      const length = Number(varint());
      value = bytes.subarray(at, at + length);
      at += length;
    } else throw new Error(`wire type ${tag % 8}`);
    const list = fields.get(tag >> 3) ?? [];
    fields.set(tag >> 3, list);
    list.push(value);
  }
  return fields;
}

/** Numbers of a repeated field, packed or not. */
export function packed(values: readonly Value[] = []): bigint[] {
  return values.flatMap((value) => {
    if (typeof value === 'bigint') return [value];
    const numbers: bigint[] = [];
    let [number, shift] = [0n, 0n];
    for (const byte of value) {
      number |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte >= 0x80) continue;
      numbers.push(number);
      [number, shift] = [0n, 0n];
    }
    return numbers;
  });
}

export function textOf(value: Value): string {
  return typeof value === 'bigint' ? `${value}` : value.toString('utf8');
}
