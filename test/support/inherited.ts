// What of a test's own environment the programs get that it starts: where programs are, and where Node keeps what it
// has compiled. None of our settings.
const NAMES = ["PATH", "NODE_COMPILE_CACHE"] as const;

export function inherited(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of NAMES) {
    const value = process.env[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}
