// Web (JavaScript)
async function sendFeedback(bidId, type) {
  await fetch("https://ssp.thrads.ai/api/v1/tracking/feedback", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      bid_id: bidId,
      feedback_type: type,
    }),
  });
}
