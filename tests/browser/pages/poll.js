// The rendering flow of seed 003, step by step, with nothing but what the bid response holds.
const byId = (id) => document.getElementById(id);

function show(results) {
  byId("options").replaceChildren(...results.options.map((option) => {
    const row = document.createElement("li");
    row.textContent = `${option.text} ${option.percentage}%`;
    return row;
  }));
  byId("total").textContent = `${results.total_votes} votes`;
}

async function vote(ad, optionId) {
  const answer = await fetch(ad.vote_url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ option_id: optionId }),
  });
  const body = await answer.json();
  if (answer.ok) {
    show(body);
    if (ad.poll.cta_url) {
      byId("cta").href = ad.poll.cta_url;
      byId("cta").hidden = false;
    }
  } else if (body.error.code === "duplicate_vote") {
    await refresh(ad);
  } else {
    byId("error").textContent = body.error.code;
  }
}

async function refresh(ad) {
  show(await (await fetch(ad.results_url)).json());
}

function render(ad) {
  byId("question").textContent = ad.poll.question;
  byId("options").replaceChildren(...ad.poll.options.map((option) => {
    const button = document.createElement("button");
    button.id = `option-${option.id}`;
    button.textContent = option.text;
    button.onclick = () => vote(ad, option.id);
    return button;
  }));
  byId("pixel").src = ad.view_url;
}
