// What a reader of bodies looks for: of a real row, or of a made-up one.
import { compileMembers, modelPlace, type FoundPlace } from "../../src/providers/index.ts";
import { createJudge, type Sought } from "../../src/proxy/model-judge.ts";

type Allows = (model: string) => boolean;

/** Of a body whose top-level `model` is the one place. */
export function soughtOf(allows: Allows, rivals: readonly string[] = []): Sought {
  return {
    body: compileMembers([
      { path: "model", kind: "only" },
      ...rivals.map((path) => ({ path, kind: "rival" }) as const),
    ]),
    isRequired: true,
    modelTools: undefined,
    judge: createJudge(allows, /@preset\//),
  };
}

/** The place of a provider's row (a custom one: any name that is none's) for a call to `path`. */
export function placeOf(provider: string, path: string, method = "POST"): FoundPlace {
  const place = modelPlace({ provider, method, path, canonicalPath: path.toLowerCase() });
  if (place === undefined || place === "unclear") throw new Error(`no place: ${provider} ${path}`);
  return place;
}

/** What is looked for there. */
export function soughtAt(place: FoundPlace, allows: Allows): Sought {
  return { ...place, judge: createJudge(allows, place.indirect) };
}
