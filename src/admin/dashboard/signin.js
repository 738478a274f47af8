const form = document.getElementById("sign-in"), problem = document.getElementById("problem");

const WORDS = {
  401: "This is not an admin key, or it was revoked or has expired.",
  429: "Too many attempts. Wait a moment and try again.",
};

form.addEventListener("submit", async event => {
  event.preventDefault();
  problem.textContent = "";
  const answer = await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" },
                                           body: JSON.stringify({ key: form.key.value.trim() }) }).catch(() => undefined);
  if (answer?.ok) return location.replace("/");
  problem.textContent = WORDS[answer?.status] ?? "The server did not answer as expected. Try again.";
  form.key.select();
});
