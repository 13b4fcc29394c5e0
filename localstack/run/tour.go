package main

import (
	"fmt"
	"strings"
)

// step is one block of the guided tour: why, and commands to paste as they are.
type step struct{ title, commands string }

// steps uses curl, jq and openssl only. Each block works on its own in the shell that ran the first one. No refusal
// overwrites a certificate or a key.
var steps = []step{
	{"Say where things are", `
ADMIN_SECRET="$(grep ^MCP_PROXY_ADMIN_SECRET proxy.env | cut -d= -f2)"
MASTIO="{url}"
AGENT_ID="{org}::kyc-screener"
CA="{ca}"
T="{dir}"; mkdir -p "$T"; chmod 700 "$T"
keep() {
  jq -er .cert_pem "$1" > "$T/cert.new" && jq -er .key_pem "$1" > "$T/key.new" &&
    mv "$T/cert.new" "$T/cert.pem" && mv "$T/key.new" "$T/key.pem"
}`},

	{"Enrol an agent (a second time it says agent_already_enrolled, and the certificate stays)", `
curl -s --cacert "$CA" -X POST -H "X-Admin-Secret: $ADMIN_SECRET" -H 'Content-Type: application/json' \
  -d '{"agent_name":"kyc-screener","capabilities":["kyc:read"]}' "$MASTIO/v1/admin/agents" > "$T/agent.json"
jq 'del(.key_pem, .dpop_jwk, .cert_pem, .ca_chain_pem)' "$T/agent.json"
keep "$T/agent.json" || test -s "$T/cert.pem"`},

	{"Get a token with its certificate: 200", `
curl -s --cacert "$CA" --cert "$T/cert.pem" --key "$T/key.pem" -X POST "$MASTIO/v1/auth/token" | jq 'del(.access_token)'`},

	{"Rotate the agent's certificate", `
cp "$T/cert.pem" "$T/old-cert.pem"; cp "$T/key.pem" "$T/old-key.pem"
curl -s --cacert "$CA" -X POST -H "X-Admin-Secret: $ADMIN_SECRET" \
  "$MASTIO/registry/agents/$AGENT_ID/rotate-cert" > "$T/rotated-cert.json"
keep "$T/rotated-cert.json"
jq '{agent_id, generation, cert_thumbprint, previous_thumbprint}' "$T/rotated-cert.json"`},

	{"The old certificate is refused (401), the new one works (200)", `
curl -s --cacert "$CA" --cert "$T/old-cert.pem" --key "$T/old-key.pem" -X POST -w '%{http_code}\n' "$MASTIO/v1/auth/token"
curl -s --cacert "$CA" --cert "$T/cert.pem" --key "$T/key.pem" -X POST -o "$T/token.json" -w '%{http_code}\n' "$MASTIO/v1/auth/token"`},

	{"OpenSSL agrees with the chain", `
curl -s --cacert "$CA" "$MASTIO/pki/ca.crt" > "$T/org-ca.crt"
openssl verify -CAfile "$T/org-ca.crt" -untrusted "$T/cert.pem" "$T/cert.pem"`},

	{"Rotate the Org CA: every certificate is dead at once (401), whatever the fleet's size", `
curl -s --cacert "$CA" -X POST -H "X-Admin-Secret: $ADMIN_SECRET" "$MASTIO/pki/rotate-ca?mode=mint" | jq '{generation, fingerprint, previous}'
curl -s --cacert "$CA" --cert "$T/cert.pem" --key "$T/key.pem" -X POST -w '%{http_code}\n' "$MASTIO/v1/auth/token"`},

	{"Rotate the agent onto the new CA: 200 again", `
curl -s --cacert "$CA" -X POST -H "X-Admin-Secret: $ADMIN_SECRET" \
  "$MASTIO/registry/agents/$AGENT_ID/rotate-cert" > "$T/rotated-cert.json"
keep "$T/rotated-cert.json"
curl -s --cacert "$CA" --cert "$T/cert.pem" --key "$T/key.pem" -X POST -o "$T/token.json" -w '%{http_code}\n' "$MASTIO/v1/auth/token"`},

	{"Health", `
curl -s --cacert "$CA" "$MASTIO/healthz" | jq`},
}

// tour is what is printed once the stack is up.
func tour(url, ca, dir, org string) string {
	var b strings.Builder
	b.WriteString("\nThe Mastio runs on " + url + ". Admin secret: proxy.env. Functions' log: make logs.\n")
	b.WriteString("A tour, to paste block by block into another terminal in this folder:\n")
	for i, s := range filled(url, ca, dir, org) {
		// The title is no shell comment: an interactive zsh knows none, and would take an apostrophe for a quote.
		fmt.Fprintf(&b, "\n(%d) %s\n%s\n", i+1, s.title, s.commands)
	}
	b.WriteString("\n")
	return b.String()
}

func filled(url, ca, dir, org string) []step {
	values := strings.NewReplacer("{url}", url, "{ca}", ca, "{dir}", dir, "{org}", org)
	list := make([]step, len(steps))
	for i, s := range steps {
		list[i] = step{s.title, values.Replace(s.commands)}
	}
	return list
}
