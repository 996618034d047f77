import eslint from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import { dirname, relative, resolve, sep } from "node:path";
import tseslint from "typescript-eslint";
import { houseRules } from "./eslint.house.js";

// The floors of the house, lowest first. A file imports only from lower floors,
// and from another room only its index.ts. proxy/ and admin/ never import each other. The dashboard stands apart: it
// imports from contract/client.ts alone, which has no schema to be brought into browsers (its build, from index.ts), and no room imports it.
const FLOORS = [
  ["platform", "contract"],
  ["db"],
  ["providers", "audit"],
  ["vault"],
  ["scopes", "limits"],
  ["grants", "agents", "identity", "activity", "backup"],
  ["proxy", "admin", "health", "figures", "workers"],
  ["doctor"],
  ["installation", "housekeeping", "control-plane", "service"],
  ["main", "first-process"],
  ["cli"],
];
// Each file of it is a door of its own.
const TOOLS = "platform";
const APART = "dashboard";
const SRC = resolve(import.meta.dirname, "src");

function roomOf(file) {
  const path = relative(SRC, file);
  if (path.startsWith("..")) return undefined;
  const [first, ...rest] = path.split(sep);
  return { name: first.replace(/\.tsx?$/, ""), inside: rest.join("/") };
}

const floors = {
  meta: { type: "problem", schema: [] },
  create(context) {
    const from = roomOf(context.filename);
    if (from === undefined) return {};
    const check = (node) => {
      const specifier = node.source?.value;
      if (typeof specifier !== "string" || !specifier.startsWith(".")) return;
      const to = roomOf(resolve(dirname(context.filename), specifier));
      if (to === undefined) {
        context.report({ node, message: "src/ imports nothing from outside src/" });
        return;
      }
      if (to.name === from.name) return;
      const door = from.inside === "build.ts" ? "index.ts" : "client.ts";
      if (from.name === APART && to.name === "contract" && to.inside === door) return;
      if (to.name === APART || from.name === APART) {
        context.report({ node, message: `${APART} stands apart from all other rooms` });
        return;
      }
      const own = FLOORS.findIndex((floor) => floor.includes(from.name));
      const other = FLOORS.findIndex((floor) => floor.includes(to.name));
      if (own < 0 || other < 0) {
        context.report({ node, message: `give ${own < 0 ? from.name : to.name} a floor` });
      } else if (other > own || (other === own && own > 0)) {
        context.report({
          node,
          message: `${from.name} may not import ${to.name}: it is not on a lower floor`,
        });
      } else if (to.name !== TOOLS && to.inside !== "" && to.inside !== "index.ts") {
        context.report({ node, message: `enter ${to.name}/ through its index.ts` });
      }
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};

export default tseslint.config(
  { ignores: ["node_modules/", "dist/", ".x3sproxy/"] },
  eslint.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { house: { rules: { floors, ...houseRules } } },
    rules: {
      "house/no-circle": "error",
      "house/floors": "error",
      "house/one-transaction": "error",
      "house/no-hash-in-transaction": "error",
      "house/heard-at-once": "error",
      "no-console": "error",
      "no-restricted-syntax": [
        "error",
        {
          selector: "MemberExpression[object.object.name='process'][object.property.name='env']",
          message: "only config.ts reads the environment",
        },
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: "only config.ts reads the environment",
        },
        {
          selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
          message: "take the time from the given clock",
        },
        {
          selector:
            "MemberExpression[object.object.name='process'][object.property.name='stdout'][property.name='write']",
          message: "print() of cli/output.ts notices what nobody takes",
        },
      ],
    },
  },
  {
    files: ["src/platform/config.ts", "src/platform/clock.ts"],
    rules: { "no-restricted-syntax": "off" },
  },
  { files: ["src/db/transactions.ts"], rules: { "house/one-transaction": "off" } },
  {
    // An unheard promise ends the service. What a browser does with one is its own affair.
    files: ["src/**/*.ts"],
    ignores: ["src/dashboard/**"],
    rules: { "@typescript-eslint/no-floating-promises": ["error", { ignoreVoid: false }] },
  },
  {
    files: ["test/**/*.ts", "demo/**/*.ts"],
    rules: {
      // node:test's describe/it/test return promises that the runner itself awaits.
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", name: ["test", "it", "describe", "suite"], package: "node:test" },
          ],
        },
      ],
    },
  },
  { files: ["src/dashboard/**/*.{ts,tsx}"], ...reactHooks.configs.flat.recommended },
  {
    files: ["**/*.js"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } },
  },
);
