// Keeps what the page itself could see of every answer to its fetches.
const seen = [];
const fetchAsItIs = window.fetch;
window.fetch = async (...request) => {
  try {
    const answer = await fetchAsItIs(...request);
    const body = await answer.clone().text();
    seen.push({
      status: answer.status,
      type: answer.type,
      body,
      retryAfter: answer.headers.get("retry-after"),
    });
    return answer;
  } catch (error) {
    seen.push({ failed: String(error) });
    throw error;
  }
};
