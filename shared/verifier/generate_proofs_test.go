package verifier

import (
	"encoding/base64"
	"strings"
)

func (m maker) proofCases() []vectorCase {
	token := m.token(m.bound())
	good := m.prove(token)
	text := m.proofClaims(token).text()
	claims := func(changes ...any) *vectorRequest { return m.dpop(token, m.prove(token, changes...)) }
	headed := func(h string, key testKey) *vectorRequest { return m.dpop(token, m.jws(h, text, key)) }
	with := func(changes ...any) *vectorRequest { return headed(m.proofHead().but(changes...).text(), m.proof) }
	at := func(r *vectorRequest, method, path string) *vectorRequest { r.Method, r.Path = method, path; return r }
	elsewhere := m.dpop(token, good)
	elsewhere.Certificate = base64.StdEncoding.EncodeToString(m.elsewhere.Raw)
	cases := m.wants("ok", map[string]*vectorRequest{
		"good":                 m.dpop(token, good),
		"scheme in lower case": m.request([]string{"Authorization", "dpop " + token}, []string{"DPoP", good}),
		"of a minute ago":      claims("iat", now.Unix()-60), "10 s ahead": claims("iat", now.Unix()+10),
		"a POST":                         at(claims("htm", "POST"), "POST", "/v1/orders"),
		"with a query":                   at(claims(), "GET", "/v1/orders?page=2"),
		"htu with a query":               claims("htu", target+"?page=2#top"),
		"htu in capitals":                claims("htu", "HTTPS://API.Example:443/v1/orders"),
		"htu with dot segments":          claims("htu", "https://api.example/x/../v1/./orders"),
		"htu with needless escapes":      claims("htu", "https://api.example/%761/orders"),
		"escaped slash":                  at(claims("htu", "https://api.example/v1/a%2fb"), "GET", "/v1/a%2Fb"),
		"a nonce that was not asked for": claims("nonce", "x"),
		"fraction of a second":           claims("iat", float64(now.Unix())+0.5),
		"jti of 256 bytes":               claims("jti", strings.Repeat("x", 256)),
		"not expired":                    claims("exp", now.Unix()+1),
		"jwk with a use":                 with("jwk", m.jwk(m.proof).but("use", "sig", "alg", "ES256", "kid", "x")),
	})
	cases = append(cases, m.wants("access_token_bound_elsewhere", map[string]*vectorRequest{
		"over another connection": elsewhere,
		"by another key":          headed(m.proofHead().but("jwk", m.jwk(m.other)).text(), m.other),
	})...)
	cases = append(cases, m.wants("dpop_proof_invalid", map[string]*vectorRequest{
		"no proof": m.dpop(token), "empty": m.dpop(token, ""), "two proofs": m.dpop(token, good, good),
		"two in one header": m.dpop(token, good+","+good),
		"garbage":           m.dpop(token, "garbage"), "the token": m.dpop(token, token),
		"too long": claims("x", strings.Repeat("x", 8<<10)),
		"typ JWT":  with("typ", "JWT"), "no typ": with("typ", nil), "alg none": with("alg", "none"),
		"alg HS256": with("alg", "HS256"),
		"unsigned":  m.dpop(token, good[:strings.LastIndexByte(good, '.')+1]), "no jwk": with("jwk", nil),
		"jwk text":             with("jwk", "x"),
		"private jwk":          with("jwk", m.jwk(m.proof).but("d", b64(make([]byte, 32)))),
		"jwk of another curve": with("jwk", m.jwk(m.proof).but("crv", "P-384")),
		"jwk of RSA":           with("jwk", members{"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
		"jwk of a secret":      with("jwk", members{"kty": "oct", "k": "AQAB"}),
		"jwk for encryption":   with("jwk", m.jwk(m.proof).but("use", "enc")),
		"jwk not on the curve": with("jwk", m.jwk(m.proof).but("y", b64(make([]byte, 32)))),
		"jwk cut":              with("jwk", m.jwk(m.proof).but("x", b64(make([]byte, 31)))),
		"jwk of an embedded key, signed by another": headed(m.proofHead().text(), m.other),
		"jwk for another algorithm":                 with("jwk", m.jwk(m.proof).but("alg", "ES384")),
		"jwk that may not verify":                   with("jwk", m.jwk(m.proof).but("key_ops", []string{"sign"})),
		"htm of another method":                     claims("htm", "POST"), "htm in lower case": claims("htm", "get"),
		"no htm":                    claims("htm", nil),
		"htu of another host":       claims("htu", "https://other.example/v1/orders"),
		"htu of another path":       claims("htu", "https://api.example/v1/order"),
		"htu with a slash":          claims("htu", target+"/"),
		"htu with another port":     claims("htu", "https://api.example:8443/v1/orders"),
		"htu of http":               claims("htu", "http://api.example/v1/orders"),
		"htu relative":              claims("htu", "/v1/orders"),
		"no htu":                    claims("htu", nil),
		"htu with a user":           claims("htu", "https://api.example@other.example/v1/orders"),
		"htu with a doubled slash":  claims("htu", "https://api.example//v1/orders"),
		"htu with a backslash":      claims("htu", `https://api.example\v1/orders`),
		"htu in another case":       claims("htu", "https://api.example/V1/orders"),
		"htu with an escaped slash": claims("htu", "https://api.example/v1%2Forders"),
		"htu malformed":             claims("htu", "https://api.example/%zz"),
		"no ath":                    claims("ath", nil), "ath of another token": claims("ath", b64(make([]byte, 32))),
		"ath padded": claims("ath", m.proofClaims(token)["ath"].(string)+"="),
		"ath number": claims("ath", 1), "iat 61 s ago": claims("iat", now.Unix()-61),
		"iat 11 s ahead": claims("iat", now.Unix()+11), "no iat": claims("iat", nil),
		"iat text": claims("iat", "1800000000"), "iat negative": claims("iat", -1), "no jti": claims("jti", nil),
		"jti empty":  claims("jti", ""),
		"jti number": claims("jti", 1), "jti of 257 bytes": claims("jti", strings.Repeat("x", 257)),
		"expired":           claims("exp", now.Unix()),
		"nbf in the future": claims("nbf", now.Unix()+11), "nonce number": claims("nonce", 1),
		"jti twice": m.dpop(token,
			m.jws(m.proofHead().text(), strings.Replace(text, `"jti":`, `"jti":"p-0","jti":`, 1), m.proof)),
		"crit": with("crit", []string{"x"}),
	})...)
	refused := at(m.dpop(token, good), "POST", "/v1/orders")
	return append(cases,
		within(30, "replayed", m.alive(), ask(0, "ok", m.dpop(token, good)),
			ask(0, "dpop_proof_replayed", m.dpop(token, good)), ask(20, "dpop_proof_replayed", m.dpop(token, good))),
		within(300, "replayed until it is too old", m.alive(), ask(0, "ok", m.dpop(token, good)),
			ask(60, "dpop_proof_replayed", m.dpop(token, good)), ask(61, "dpop_proof_invalid", m.dpop(token, good))),
		within(300, "of the future, replayed in its last second", m.alive(),
			ask(0, "ok", claims("iat", now.Unix()+10)), ask(69, "dpop_proof_replayed", claims("iat", now.Unix()+10)),
			ask(70, "dpop_proof_replayed", claims("iat", now.Unix()+10)),
			ask(71, "dpop_proof_invalid", claims("iat", now.Unix()+10))),
		within(30, "the same jti in another proof is a replay", m.alive(), ask(0, "ok", m.dpop(token, good)),
			ask(1, "dpop_proof_replayed", claims("iat", now.Unix()+1))),
		within(30, "another jti is none", m.alive(), ask(0, "ok", m.dpop(token, good)),
			ask(1, "ok", claims("jti", "p-2"))),
		within(30, "a refused request does not use a proof up", m.alive(), ask(0, "dpop_proof_invalid", refused),
			ask(0, "ok", m.dpop(token, good))),
		within(30, "a request that cannot be judged does not use a proof up",
			ask(0, "status_stale", m.dpop(token, good)), m.alive(), ask(0, "ok", m.dpop(token, good))),
	)
}
