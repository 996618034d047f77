// The places of a JSON body at which a call may name a model, as a tree of members. Structure is known by its place alone: what lies
// beside the tree is data, whatever its names are. Never looks into a body.
import { foldedHash, foldName } from "./fold-name.ts";

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
  /** By folded name. */
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
  const names = new Set(paths.flatMap(({ steps }) => steps.slice(0, 1)));
  const isAny = names.delete("*");
  const within = (...steps: string[]): Steps[] =>
    paths
      .filter(({ steps: [first] }) => first !== undefined && steps.includes(first))
      .map(({ steps: [, ...rest], kind }) => ({ steps: rest, kind }));
  return {
    name,
    kind: paths.find(({ steps }) => steps.length === 0)?.kind,
    members: new Map([...names].map((it) => [foldName(it), compile(it, within(it, "*"))])),
    hashes: new Set([...names].map((it) => foldedHash(Buffer.from(it), 0, it.length))),
    any: isAny ? compile("", within("*")) : undefined,
  };
}
