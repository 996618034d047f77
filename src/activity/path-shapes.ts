// What is the same about paths that differ in an id alone, so that an agent which reads another file does nothing new. Pure.

const LONGEST = 200;
const ID_FROM = 8;
const LONG_FROM = 32;
// What a model is asked for stands behind it, as in models/<name>:generatecontent.
const VERB = /:[a-z-]+$/;

/** Method, provider and canonical path (empty: not known), each segment that looks like an id as `*`. At most 200 characters. */
export function shapeOf(method: string, provider: string, path: string): string {
  if (path === "") return `${method} /${provider}/…`;
  const segments = path.split("/").map((segment) => {
    const verb = VERB.exec(segment)?.[0] ?? "";
    return isId(segment.slice(0, segment.length - verb.length)) ? `*${verb}` : segment;
  });
  const shape = `${method} /${provider}${segments.join("/")}`;
  return shape.length <= LONGEST ? shape : `${shape.slice(0, LONGEST - 1).toWellFormed()}…`;
}

/** A number, a word of 8 characters and more with a digit in it (a model's name mostly is one, too), or one of 32 and more. */
function isId(text: string): boolean {
  return (
    /^\d+$/.test(text) || (text.length >= ID_FROM && /\d/.test(text)) || text.length >= LONG_FROM
  );
}
