// Sends the form with the token of the link. The token stands in the fragment, which browsers send to no server.
const form = document.querySelector("#setup");
const button = form.querySelector("button");
const status = document.querySelector("#status");
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

function show(kind, text) {
  status.className = kind;
  status.textContent = text;
}

if (token === "") {
  form.hidden = true;
  show("bad", "This page needs the whole link that the service printed, with what follows the #.");
} else {
  // Out of the address bar and the history.
  history.replaceState(null, "", location.pathname);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  show("", "One moment …");
  try {
    const response = await fetch("/api/v1/setup", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        token,
        email: document.querySelector("#email").value,
        password: document.querySelector("#password").value,
      }),
    });
    const answer = await response.json();
    if (response.ok) {
      form.hidden = true;
      show("good", `Done. ${answer.user.email} owns this workspace.`);
      return;
    }
    show("bad", answer.detail);
  } catch {
    show("bad", "The service did not answer. Is it running?");
  }
  button.disabled = false;
});
