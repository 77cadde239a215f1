import { type Command, InvalidArgumentError } from 'commander';
import type { LayoutMember } from '../../answers/struct/layout.js';
import { KdumpMemError, WalkError } from '../../base/errors.js';
import { formatJson, hex } from '../../base/util.js';
import type { InstanceAnswer } from '../../contracts/struct.js';
import { kernelIdentity } from '../../kernel/identity.js';
import type { NamedType } from '../../kernel/layout.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { InstanceReader } from '../../walk/values/instance.js';
import { didYouMean, findPlace, nearestNames, type WrittenPlace } from '../../walk/values/place.js';
import type { Warning } from '../../walk/warnings.js';
import { type OptionsOf, parseUpTo, parseWritten } from '../kit/arguments.js';
import { besideDumps } from '../kit/dump-arguments.js';
import { EXIT } from '../kit/failure.js';
import { addSourceOptions, withNativeSource } from '../kit/kernel-source.js';
import { printAnswer, printWarnings } from '../kit/output.js';

const EXAMPLES = `
TYPE is a struct, union, enum or typedef of the kernel or a module. TYPE.MEMBER,MEMBER selects
members by path (sock.__sk_common.skc_family, skb_shared_info.frags[3]).

Examples:
  kdump-mem struct sk_buff --vmcore vmcore
      print its layout, as pahole does
  kdump-mem struct task_struct.pid,comm init_task --vmcore vmcore
  kdump-mem struct sock ffff8f07c2592700 --vmcore vmcore
      print an instance with its values

Exit status: 0 answered, 2 wrong usage, 3 the dump could not be opened, or the instance not be
read, 4 no such type, member or symbol, 5 (with --strict) something is missing.`;

function declareStruct(program: Command) {
  return addSourceOptions(program.command('struct'), [])
    .description('show the layout of a kernel type, or an instance with its values')
    .option('-x, --hex', 'print all numbers in hex')
    .option('--elements <n>', 'maximum number of array elements', parseUpTo(999_999), 200)
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES);
}

type StructOptions = OptionsOf<typeof declareStruct>;

/** Registers `kdump-mem struct`, which prints the layout of a type, or an instance with its values. */
export function registerStruct(program: Command): void {
  const command = declareStruct(program);
  command
    .argument(
      '<type>',
      'TYPE, or TYPE.MEMBER,MEMBER',
      besideDumps(() => command, parseType),
    )
    .argument('[place]', 'ADDR, SYMBOL or SYMBOL:CPU, each with +OFFSET', parseWritten)
    .action(async (query, written, options) => {
      await withNativeSource(options, (kernel) =>
        written ? printInstance(kernel, query, written, options) : printLayout(kernel, query, options),
      );
    });
}

interface TypeQuery {
  readonly name: string;
  /** Paths of members; empty for the complete type. */
  readonly members: readonly string[];
}

async function printLayout(kernel: NativeKernel, query: TypeQuery, { json }: StructOptions): Promise<void> {
  const text = await import('../../answers/struct/render.js');
  let types = await findTypes(kernel, query.name);
  let members: LayoutMember[] | undefined;
  if (query.members.length > 0) {
    types = [onlyType(types, query.name)];
    const outer = types[0]!.type;
    const { selectMember, selectedLayout } = await import('../../answers/struct/layout.js');
    members = query.members.map((path) => selectedLayout(outer, selectMember(outer, path)));
  }
  if (json) {
    const { structJson } = await import('../../answers/struct/render.js');
    printAnswer(formatJson(structJson(kernel, types, members), 2));
  } else if (members) {
    printAnswer(text.membersText(types[0]!.type, members));
  } else {
    printAnswer(types.map(text.typeText).join('\n\n'));
  }
  if (!json) printWarnings(kernel.doubts);
}

async function printInstance(
  kernel: NativeKernel,
  query: TypeQuery,
  written: WrittenPlace,
  { json, hex, strict, elements }: StructOptions,
): Promise<void> {
  const { type } = onlyType(await findTypes(kernel, query.name), query.name);
  if (type.size === 0 && type.kind !== 'struct') throw new WalkError('no-such-type', `${type.spelling} has no values`);
  const place = findPlace(kernel, written);
  const reader = new InstanceReader(
    { read: (address, length) => kernel.read(address, length), nameOf: nameIn(kernel) },
    { elements },
  );
  const { selectMember } = await import('../../answers/struct/layout.js');
  const members = query.members.map((path) => {
    const member = selectMember(type, path);
    const value = reader.read(member.type, place.address, member.bitOffset, member.bitSize);
    return { path, type: member.type, offset: Math.floor(member.bitOffset / 8), value };
  });
  const value = members.length > 0 ? undefined : reader.read(type, place.address);
  const warnings: Warning[] = [...kernel.doubts];
  if (reader.failure) warnings.push({ code: 'unreadable', message: reader.failure.message });
  if (reader.failure && !reader.readable) throw reader.failure;
  if (json) {
    const answer: InstanceAnswer = {
      schema: 'kdump-mem.struct-instance/1',
      kernel: kernelIdentity(kernel.facts),
      type: type.spelling,
      ...place,
      ...(value ? { value } : { members: members.map(({ type: _, ...member }) => member) }),
      warnings,
    };
    printAnswer(formatJson(answer, 2));
  } else {
    const { instanceText, membersOfInstanceText } = await import('../../answers/struct/instance.js');
    const style = { hex: hex ?? false };
    printAnswer(value ? instanceText(type, value, style) : membersOfInstanceText(members, style));
    printWarnings(warnings);
  }
  if (strict && reader.failure) process.exitCode = EXIT.incomplete;
}

/** @throws {WalkError} `no-such-type` */
async function findTypes(kernel: NativeKernel, name: string): Promise<NamedType[]> {
  const { namedTypes } = await import('../../kernel/native/named-types.js');
  const { typeText } = await import('../../answers/struct/render.js');
  const types = namedTypes(kernel, name);
  if (types.length === 0) {
    const { problems } = kernel.moduleTypes;
    const but = problems.length > 0 ? ` (types of some modules cannot be read: ${problems[0]})` : '';
    const near = didYouMean(nearestNames(name.replace(/^(struct|union|enum)\s+/, ''), namesOf(kernel)));
    throw new WalkError('no-such-type', `the kernel has no type ${name}${but}${near}`);
  }
  // The same struct may occur several times, once per compilation unit with a different definition.
  return [...new Map(types.map((type) => [typeText({ ...type, module: '' }), type])).values()];
}

/** Returns as many type names as can be read: they only serve for suggestions. */
function* namesOf(kernel: NativeKernel): Generator<string> {
  try {
    yield* kernel.types.names();
  } catch (error) {
    if (!(error instanceof KdumpMemError)) throw error;
  }
}

/**
 * Returns the one type that a name refers to. A struct takes precedence over a typedef, since C allows both
 * with different meanings.
 */
function onlyType(types: readonly NamedType[], name: string): NamedType {
  const tagged = types.filter(({ typedef }) => typedef === undefined);
  const only = tagged.length > 0 ? tagged : types;
  if (only.length === 1) return only[0]!;
  const all = only.map(({ type, module }) => {
    const where = module === undefined ? '' : ` of ${module}`;
    return `${type.spelling}${where} of ${type.size} bytes`;
  });
  throw new WalkError('ambiguous-type', `type ${name} is ambiguous: ${all.join(', ')}`);
}

function nameIn(kernel: NativeKernel): (address: bigint) => string | undefined {
  return (address) => {
    const near = kernel.nearestSymbol(address);
    if (near === undefined) return undefined;
    return `${near.symbol.name}${near.offset === 0 ? '' : `+${hex(near.offset)}`}`;
  };
}

const TYPE = /^(?<name>(?:(?:struct|union|enum)\s+)?[A-Za-z_$][\w$ ]*)(?:\.(?<members>[\w$.,[\]]+))?$/;

function parseType(text: string): TypeQuery {
  const { name, members } = TYPE.exec(text.trim())?.groups ?? {};
  if (name === undefined || text.length > 512) throw new InvalidArgumentError('Use TYPE or TYPE.MEMBER,MEMBER.');
  return { name: name.trim(), members: members?.split(',') ?? [] };
}
