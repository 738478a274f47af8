#!/usr/bin/env bash
# demo.sh: starts build/adtally on demonstration data and, when it is ready, prints curl lines that
# work as pasted. The keys are made on the first run and kept in DATA/demo, readable by their owner.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

readonly BIN=build/adtally
readonly DATA=${ADTALLY_DATA:-data}
readonly LISTEN=${ADTALLY_LISTEN:-127.0.0.1:8080}
readonly URL=http://$LISTEN
readonly JSON="-H 'Content-Type: application/json'"
readonly AD='{"publisher_id":"demo-chat","campaign_id":"spring","product_id":"shoes","user_id":"u-1","price":"0.25","currency":"USD","pricing":"cpc","landing_url":"https://shop.example/shoes","poll_id":1}'
readonly POLL='{"sponsored_poll_id":1,"question":"What are the shoes for?","options":[{"id":"0","text":"Wedding"},{"id":"1","text":"Study"},{"id":"2","text":"Workout"}]}'

# A key is made before its file: a run that was cut short starts over with a new one.
make_keys() {
    [[ -s $DATA/demo/partner.key && -s $DATA/demo/adserver.key && -s $DATA/demo/publisher.key ]] &&
        return
    local partner adserver publisher
    mkdir -p "$DATA"
    partner=$("$BIN" key create --class partner --partner-id demo --label demo --data "$DATA")
    adserver=$("$BIN" key create --class adserver --label demo --data "$DATA")
    publisher=$("$BIN" key create --class publisher --publisher-id demo-chat --label demo --data "$DATA")
    echo "$POLL" | "$BIN" poll put - --data "$DATA" >/dev/null
    mkdir -p "$DATA/demo"
    echo "$partner" >"$DATA/demo/partner.key"
    echo "$adserver" >"$DATA/demo/adserver.key"
    echo "$publisher" >"$DATA/demo/publisher.key"
}

authorization() {
    echo "-H 'Authorization: Bearer $(<"$DATA/demo/$1.key")'"
}

mint_line() {
    printf '%s\n' "curl -sS -w '\\n' $URL/v1/mint $(authorization adserver) $JSON -d '{\"ads\":[$AD]}'"
}

# click_line URL: leaves the click id in $CLICK for the lines after it.
click_line() {
    echo "LOCATION=\$(curl -sS -o /dev/null -w '%{redirect_url}' '$1');" \
        "CLICK=\${LOCATION#*thrad_click_id=}; CLICK=\${CLICK%%&*}; echo \"\$LOCATION\""
}

conversion_line() {
    printf '%s %s %s\n' \
        "curl -sS -w '\\n' $URL/v1/api/conversion $(authorization partner) $JSON" \
        "-H 'Idempotency-Key: order-1001'" \
        "-d '{\"click_id\":\"'\"\$CLICK\"'\",\"conversion_time\":\"2026-02-19T18:00:00Z\",\"conversion_value\":49.99,\"currency\":\"USD\",\"order_id\":\"order-1001\"}'"
}

collect_line() {
    printf '%s %s\n' \
        "curl -sS -w '%{http_code}\\n' $URL/v1/api/collect $(authorization partner) $JSON" \
        "-d '{\"event_name\":\"page_view\",\"event_id\":\"pv-1001\",\"page_url\":\"https://shop.example/checkout\"}'"
}

view_line() {
    printf '%s\n' "curl -sS -o /dev/null -w '%{http_code} %{content_type}\\n' '$1'"
}

feedback_line() {
    printf '%s %s\n' "curl -sS -w '%{http_code}\n' $URL/api/v1/tracking/feedback $JSON" \
        "-d '{\"bid_id\":\"$1\",\"feedback_type\":\"positive\"}'"
}

ad_feedback_line() {
    printf '%s %s\n' \
        "curl -sS -w '\\n' $URL/ad-feedback -H 'X-API-Key: $(<"$DATA/demo/publisher.key")' $JSON" \
        "-d '{\"sessionId\":\"s-1\",\"impUrl\":\"$1\",\"sentiment\":\"thumbs_down\",\"reasons\":[\"repetitive\"]}'"
}

vote_line() {
    printf '%s\n' "curl -sS -w '\\n' '$1' $JSON -d '{\"option_id\":\"0\"}'"
}

results_line() {
    printf '%s\n' "curl -sS -w '\\n' '$1'"
}

# member NAME: a text of the sample ad's minted JSON.
member() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

print_lines() {
    local minted ad
    minted=$(eval "$(mint_line)")
    ad=$(member url <<<"$minted")
    if [[ -z $ad ]]; then
        echo "demo.sh: minting the sample ad failed" >&2
        return
    fi
    cat <<TEXT

Paste these into another terminal, in this order.

# Mint an ad: its URLs come back, nothing is stored.
$(mint_line)

# Click the sample ad: the redirect goes to the landing page and carries the click id.
$(click_line "$ad")

# Send the click's conversion: {"status":"ok"}, once it is on disk.
$(conversion_line)

# Send it again: {"status":"duplicate"}.
$(conversion_line)

# Send a server event: 204.
$(collect_line)

# Show the ad: 200 and a pixel; the impression is recorded once.
$(view_line "$(member view_url <<<"$minted")")

# The user likes it: 204.
$(feedback_line "$(member bidId <<<"$minted")")

# The same in the other dialect, with the publisher's key: {"status":"ok"} and an id.
$(ad_feedback_line "$(member impUrl <<<"$minted")")

# Vote in the ad's poll: the counts, this vote among them; a second time: duplicate_vote.
$(vote_line "$(member vote_url <<<"$minted")")

# Look at the counts without voting.
$(results_line "$(member results_url <<<"$minted")")

Ctrl-C stops the server. The data stays in $DATA.
TEXT
}

# Passes the server's lines on, and adds ours after the one that says it is ready.
announce() {
    trap '' INT TERM
    local line
    while IFS= read -r line; do
        printf '%s\n' "$line"
        [[ $line == *ready* ]] && print_lines
    done
}

make_keys
exec "$BIN" serve --data "$DATA" --listen "$LISTEN" > >(announce)
