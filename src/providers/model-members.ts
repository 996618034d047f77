// The places of a JSON body at which a call may name a model, as a tree of members. Structure is known by its place alone: what lies
// beside the tree is data, whatever its names are. Never looks into a body.

/**
 * What a member's value means. `only`: the call's model, there exactly once. `model`: one more model. `tool`: the type of a tool, which
 * may run models of its own choice. `rival`: the member by itself makes the call unclear.
 */
export type MemberKind = "only" | "model" | "tool" | "rival";

export interface Member {
  /** As the provider writes it; empty for the body itself and for `*`. */
  readonly name: string;
  /** Undefined: it leads to others. */
  readonly kind: MemberKind | undefined;
  /** By folded name, and by the name itself. */
  readonly members: ReadonlyMap<string, Member>;
  /** Of each of `members`, by `foldedHash`. */
  readonly hashes: ReadonlySet<number>;
  /** Any other member of it. */
  readonly any: Member | undefined;
}

export interface MemberPath {
  /** Names with dots between them. `[]` says that a list is meant; lists are looked through everywhere. `*` is any name. */
  readonly path: string;
  readonly kind: MemberKind;
}

const ANY = "*";

interface Steps {
  readonly steps: readonly string[];
  readonly kind: MemberKind;
}

/** The tree of these paths. Where two of them are one, the first counts. */
export function compileMembers(paths: readonly MemberPath[]): Member {
  return compile(
    "",
    paths.map(({ path, kind }) => ({ steps: path.replaceAll("[]", "").split("."), kind })),
  );
}

function compile(name: string, paths: readonly Steps[]): Member {
  // Two spellings of a name are one member, as they are to who reads it.
  const names = new Map<string, string>();
  for (const { steps } of paths) {
    const [first = ANY] = steps;
    if (first !== ANY && !names.has(foldName(first))) names.set(foldName(first), first);
  }
  const within = (isMeant: (step: string) => boolean): Steps[] =>
    paths.flatMap(({ steps: [first, ...rest], kind }) =>
      first !== undefined && isMeant(first) ? [{ steps: rest, kind }] : [],
    );
  const ofAny = within((step) => step === ANY);
  return {
    name,
    kind: paths.find(({ steps }) => steps.length === 0)?.kind,
    members: new Map(
      [...names].flatMap(([folded, it]) => {
        const steps = within((step) => step === ANY || foldName(step) === folded);
        const member = compile(it, steps);
        return [[folded, member] as const, [it, member] as const];
      }),
    ),
    hashes: new Set([...names.keys()].map((it) => foldedHash(Buffer.from(it), 0, it.length))),
    any: ofAny.length === 0 ? undefined : compile("", ofAny),
  };
}

// How names of members, fields and parameters are compared where a lenient reader might take one for another. Pure.

/**
 * A name in the form in which lenient readers may compare it: without case (Go's encoding/json), without the separators by which
 * protobuf's two spellings differ, without Unicode's look-alikes, without brackets (PHP).
 */
export function foldName(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "");
}

const BEYOND_ASCII = 0xff;

/** Of each byte what is left of it in a folded name; 0: nothing. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? (foldName(String.fromCharCode(byte)).codePointAt(0) ?? 0) : BEYOND_ASCII,
);

/**
 * The same number for all ASCII names that fold to one, so that nearly all others can be passed over without making strings of them.
 * -1: a name with other characters, of which `foldName` alone can tell.
 */
export function foldedHash(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i++) {
    const letter = FOLDED[bytes[i] ?? 0] ?? 0;
    if (letter === BEYOND_ASCII) return -1;
    if (letter !== 0) hash = (hash * 31 + letter) & 0x3fffffff;
  }
  return hash;
}
