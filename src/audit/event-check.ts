// Whether an event in an export is the one that was sealed: its parts against their commitments, all of it against its leaf, and the leaf
// against a signed tree. Pure.
import type { EventLine } from "./export-lines.ts";
import type { Finding } from "./findings.ts";
import { actorCommitment, leafData, targetCommitment } from "./leaf.ts";
import { leafHash, provesInclusion } from "./merkle.ts";
import type { Checkpoint } from "./note.ts";

/** What is wrong with who did it and with what it was done to. */
export function* checkParts({ index, actor, target, erased }: EventLine): Generator<Finding> {
  const parts = {
    actor: {
      ...actor,
      isEmpty: actor.id === null && actor.name === "" && actor.address === null,
      commit: (salt: string) => actorCommitment({ ...actor, salt }),
    },
    target: {
      ...target,
      isEmpty: target.id === "" && target.name === "",
      commit: (salt: string) => targetCommitment({ ...target, salt }),
    },
  };
  for (const [name, { salt, isEmpty, commitment, commit }] of Object.entries(parts)) {
    const isListed = erased.some((each) => each.part === name);
    if (salt === null) {
      if (!isEmpty) yield { index, what: `the event's ${name} has lost its salt` };
      else if (!isListed) {
        yield { index, what: `the event's ${name} was taken away, and no erasure took it` };
      }
      continue;
    }
    if (isListed) yield { index, what: `the event's ${name} is erased, and still there` };
    const actual = commit(salt);
    if (actual !== commitment) {
      const what = `the event's ${name} isn't the one that was sealed: it was edited`;
      yield { index, what, expected: commitment, actual };
    }
  }
}

/** What is wrong with the event as a whole; undefined: it is what its leaf stands for. */
export function checkLeaf(line: EventLine, workspaceId: string): Finding | undefined {
  const { index, id, event } = line;
  const commitments = { actor: line.actor.commitment, target: line.target.commitment };
  const data = leafData({ ...event, id, workspaceId }, commitments);
  const actual = leafHash(data).toString("hex");
  if (actual === line.leafHash) return undefined;
  const what = "the event isn't the one that was sealed: it, or its leaf, was edited";
  return { index, what, expected: line.leafHash, actual };
}

/** What is wrong with the proof that its leaf is in the tree of a checkpoint; undefined: it holds. */
export function checkProof(
  { index, leafHash: leaf, proof = [] }: EventLine,
  checkpoint: Checkpoint | undefined,
): Finding | undefined {
  const holds =
    checkpoint !== undefined &&
    provesInclusion({
      ...{ index, size: checkpoint.size, root: checkpoint.root, leaf: Buffer.from(leaf, "hex") },
      proof: proof.map((hash) => Buffer.from(hash, "base64")),
    });
  if (holds) return undefined;
  return { index, what: "the event's proof doesn't hold: it isn't in the signed tree" };
}
