// Fills the command in from the link of a refusal: ?provider=…&environment=…
const query = new URLSearchParams(location.search);

/** The parameter, when it can be a name; a link from elsewhere must not put words on this page. */
function name(parameter) {
  const value = query.get(parameter) ?? "";
  return /^[a-z0-9][a-z0-9-]{0,62}$/.test(value) ? value : undefined;
}

const provider = name("provider");
const environment = name("environment");
if (provider !== undefined) {
  const where = environment === undefined ? "" : ` in ${environment}`;
  document.querySelector("#heading").textContent = `Add a key for ${provider}${where}`;
  const option = environment === undefined ? "" : ` --environment ${environment}`;
  document.querySelector("#command").textContent = `npx x3sproxy secret set ${provider}${option}`;
}
