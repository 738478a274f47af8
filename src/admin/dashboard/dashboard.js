import { find, setText } from "./dom.js";
import { Live } from "./live.js";
import { Reports } from "./reports.js";
import { showHealth, showNow, trafficPanels } from "./traffic.js";

const STATES = { waiting: "Connecting", live: "Live", lost: "No contact, trying again" };

const panels = trafficPanels();
const reports = new Reports(find("range"));

function showState(state) {
  find("status").dataset.state = state;
  setText(find("status"), STATES[state]);
}

/* A hidden page draws nothing; samples that come in one bunch are drawn once. */
let isDue = false;
function draw() {
  isDue = false;
  const sample = live.samples.at(-1);
  showNow(sample);
  for (const panel of panels) panel.show(live);
  showHealth(sample.health);
}

function schedule(sample) {
  if (!isDue) requestAnimationFrame(draw);
  isDue = true;
  reports.follow(sample);
}

find("sign-out").addEventListener("click", async () => {
  await fetch("/session/end", { method: "POST" });
  location.reload();
});

const live = new Live({ onSample: schedule, onState: showState });
