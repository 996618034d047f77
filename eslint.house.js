// Rules of the house that need types: how promises end, and how transactions are run. Each finds by form what once ended the service or
// committed what was said to have failed; none of them knows what a promise does.
import { existsSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";

const PACKAGES = ["Sql", "ReservedSql"];

function problem(create) {
  return { meta: { type: "problem", schema: [] }, create };
}

/** Whether the type, or one of those that it may be, goes by this name. */
function isA(type, ...names) {
  const types = type.isUnion() ? type.types : [type];
  return types.some((each) => {
    const name = each.getSymbol()?.name ?? each.aliasSymbol?.name;
    return name !== undefined && names.includes(name);
  });
}

function functionAround(node) {
  let at = node.parent;
  while (at !== null && !/Function/.test(at.type)) at = at.parent;
  return at;
}

const oneTransaction = problem((context) => {
  const { getTypeAtLocation } = context.sourceCode.parserServices;
  return {
    "MemberExpression[property.name=/^(begin|reserve)$/]"(node) {
      if (isA(getTypeAtLocation(node.object), ...PACKAGES)) {
        context.report({ node, message: "transactions are run by db/transactions.ts alone" });
      }
    },
  };
});

const noHashInTransaction = problem((context) => {
  const { getTypeAtLocation } = context.sourceCode.parserServices;
  return {
    "CallExpression > MemberExpression.callee"(node) {
      if (!isA(getTypeAtLocation(node.object), "PasswordHasher")) return;
      for (let at = functionAround(node); at !== null; at = functionAround(at)) {
        if (!at.params.some((it) => isA(getTypeAtLocation(it), "TransactionSql"))) continue;
        context.report({ node, message: "hash first, then begin the transaction" });
        return;
      }
    },
  };
});

/** A promise that may reject while something else is awaited, with nobody listening to it yet, ends the process. */
const heardAtOnce = problem((context) => {
  const { getTypeAtLocation } = context.sourceCode.parserServices;
  const declared = [];
  const awaited = [];

  function neverRejects(init) {
    return (
      init.type === "AwaitExpression" ||
      (init.type === "NewExpression" && (init.arguments[0]?.params?.length ?? 2) < 2)
    );
  }

  /** The variable, and which of its references listen; nothing for what isn't a promise, or can't reject. */
  function promiseOf({ id, init }) {
    if (init === null || neverRejects(init)) return undefined;
    const variables = context.sourceCode.getDeclaredVariables(id.parent);
    if (id.type === "Identifier") {
      const type = getTypeAtLocation(id);
      const [{ references }] = variables;
      const uses = references.filter(({ init: isInit }) => isInit !== true);
      if (isA(type, "Promise")) return uses;
      if (!isA(type, "PromiseWithResolvers")) return undefined;
      const named = (name) => uses.filter((it) => it.identifier.parent.property?.name === name);
      return named("reject").length > 0 ? named("promise") : undefined;
    }
    if (id.type !== "ObjectPattern" || !isA(getTypeAtLocation(init), "PromiseWithResolvers")) {
      return undefined;
    }
    const nameOf = (key) => id.properties.find((it) => it.key?.name === key)?.value.name;
    if (nameOf("reject") === undefined) return undefined;
    const promise = variables.find(({ name }) => name === nameOf("promise"));
    return promise?.references.filter(({ init: isInit }) => isInit !== true);
  }

  return {
    VariableDeclarator: (node) => void declared.push(node),
    AwaitExpression: (node) => void awaited.push(node),
    "ForOfStatement[await=true]": (node) => void awaited.push(node.right),
    "Program:exit"() {
      for (const node of declared) {
        const first = promiseOf(node)?.[0]?.identifier;
        if (first === undefined) continue;
        const here = functionAround(node);
        const between = awaited.some(
          (it) =>
            it.range[0] >= node.range[1] &&
            it.range[1] <= first.range[0] &&
            functionAround(it) === here,
        );
        if (!between) continue;
        context.report({
          node,
          message: "nobody listens to this promise until something else was awaited",
        });
      }
    },
  };
});

/** The files that each file of a folder imports, read once. */
const importsOf = new Map();
function importsFrom(file) {
  let imports = importsOf.get(file);
  if (imports === undefined) {
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    imports = [...text.matchAll(/\bfrom "(\.[^"]+)"/g)].map(([, to]) => resolve(dirname(file), to));
    importsOf.set(file, imports);
  }
  return imports;
}

const noCircle = problem((context) => ({
  Program(node) {
    const { filename } = context;
    const cameFrom = new Map(importsFrom(filename).map((to) => [to, filename]));
    for (const file of cameFrom.keys()) {
      if (file === filename) break;
      for (const to of importsFrom(file)) if (!cameFrom.has(to)) cameFrom.set(to, file);
    }
    if (!cameFrom.has(filename)) return;
    const way = [filename];
    for (let at = cameFrom.get(filename); at !== filename; at = cameFrom.get(at)) way.unshift(at);
    const names = way.map((file) => relative(context.cwd, file)).join(" → ");
    context.report({ node, message: `imports go in a circle: ${names}` });
  },
}));

export const houseRules = {
  "one-transaction": oneTransaction,
  "no-hash-in-transaction": noHashInTransaction,
  "heard-at-once": heardAtOnce,
  "no-circle": noCircle,
};
