// The master keys that this process holds, by id. One of them is active: it seals what is new. Which one is said by the database, so
// that all processes agree. Prints nothing but ids.
import { inspect } from "node:util";
import type { MasterKey } from "./master-key.ts";

export class KeyRing {
  /** What the operator should know of where the keys came from, if anything: a sentence to log at start. */
  readonly warning: string | undefined;
  readonly #keys: ReadonlyMap<string, MasterKey>;
  #active: MasterKey;

  /** At least one key. The first is active until the database has said which. */
  constructor(keys: readonly MasterKey[], warning?: string) {
    const [first] = keys;
    if (first === undefined) throw new Error("a ring without a key");
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#active = first;
    this.warning = warning;
  }

  /** In the order in which they were given. */
  get ids(): string[] {
    return [...this.#keys.keys()];
  }

  get active(): MasterKey {
    return this.#active;
  }

  get(id: string): MasterKey | undefined {
    return this.#keys.get(id);
  }

  /** From now on this key seals what is new. False, and nothing changes, when the ring doesn't have it. */
  activate(id: string): boolean {
    const key = this.#keys.get(id);
    if (key !== undefined) this.#active = key;
    return key !== undefined;
  }

  toString(): string {
    return `[master keys ${this.ids.join(", ")}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
