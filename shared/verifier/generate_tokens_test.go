package verifier

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/mastio-aws/mastio/shared/jose"
)

func (m maker) tokenCases() []vectorCase {
	good := m.token(m.claims())
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	claims := func(changes ...any) *vectorRequest { return m.bearer(m.token(m.claims().but(changes...))) }
	text := m.claims().text()
	raw := func(old, replaced string) *vectorRequest {
		changed := strings.Replace(text, old, replaced, 1)
		if changed == text {
			m.t.Fatalf("%q is not in %s", old, text)
		}
		return m.bearer(m.jws(tokenHead, changed, m.day))
	}
	headed := func(h string) *vectorRequest { return m.bearer(m.jws(h, text, m.day)) }
	attacker := m.jwk(m.other).text()
	mac := hmac.New(sha256.New, []byte(m.jwk(m.day).text()))
	confused := b64([]byte(`{"alg":"HS256","kid":"day","typ":"at+jwt"}`)) + "." + body
	mac.Write([]byte(confused))
	none := b64([]byte(`{"alg":"none","kid":"day","typ":"at+jwt"}`)) + "." + body + "."
	unbound := m.bearer(good)
	unbound.Certificate = ""
	foreign := m.bearer(good)
	foreign.Certificate = base64.StdEncoding.EncodeToString(m.elsewhere.Raw)
	deep := strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)
	proof := m.prove(good)
	cases := m.wants("ok", map[string]*vectorRequest{
		"good": m.bearer(good), "scheme in lower case": m.request([]string{"Authorization", "bearer " + good}),
		"with a proof that was not asked for": m.request([]string{"Authorization", "Bearer " + good},
			[]string{"DPoP", proof}),
		"one audience of two":          claims("aud", []string{"urn:other", resource}),
		"not before now":               claims("nbf", now.Unix()),
		"of a clock that is 5 s ahead": claims("iat", now.Unix()+5),
		"in its last second":           claims("iat", now.Unix()-299, "exp", now.Unix()+1),
		"of no generation":             claims("generation", 0),
		"without a handle":             claims("handle", nil),
		"with claims of others":        claims("x", members{"y": []int{1}}),
		"with a jwk of the sender's":   headed(`{"alg":"ES256","kid":"day","typ":"at+jwt","jwk":` + attacker + `}`),
	})
	cases = append(cases, m.wants("access_token_required", map[string]*vectorRequest{
		"no header": m.request(), "empty header": m.request([]string{"Authorization", ""}),
		"a scheme alone": m.request([]string{"Authorization", "Bearer"}),
		"no token":       m.request([]string{"Authorization", "Bearer "}),
		"Basic":          m.request([]string{"Authorization", "Basic " + good}),
		"two headers": m.request([]string{"Authorization", "Bearer " + good},
			[]string{"Authorization", "Bearer " + good}),
	})...)
	cases = append(cases, m.wants("access_token_bound_elsewhere", map[string]*vectorRequest{
		"no certificate": unbound, "another certificate": foreign,
	})...)
	cases = append(cases, m.wants("access_token_scheme_wrong", map[string]*vectorRequest{
		"bound to a key, as Bearer": m.bearer(m.token(m.bound())),
		"bound to no key, as DPoP":  m.dpop(good, proof),
	})...)
	return append(cases, m.wants("access_token_invalid", map[string]*vectorRequest{
		"alg none": m.bearer(none), "HS256 with the public key": m.bearer(confused + "." + b64(mac.Sum(nil))),
		"alg ES384": headed(`{"alg":"ES384","kid":"day","typ":"at+jwt"}`),
		"alg es256": headed(`{"alg":"es256","kid":"day","typ":"at+jwt"}`),
		"alg RS256": headed(`{"alg":"RS256","kid":"day","typ":"at+jwt"}`), "no alg": headed(`{"kid":"day","typ":"at+jwt"}`),
		"alg number": headed(`{"alg":1,"kid":"day","typ":"at+jwt"}`),
		"ALG":        headed(`{"ALG":"ES256","kid":"day","typ":"at+jwt"}`),
		"no typ":     headed(`{"alg":"ES256","kid":"day"}`), "typ JWT": headed(`{"alg":"ES256","kid":"day","typ":"JWT"}`),
		"typ of a proof":    headed(`{"alg":"ES256","kid":"day","typ":"dpop+jwt"}`),
		"typ of a status":   headed(`{"alg":"ES256","kid":"day","typ":"mastio-status+jwt"}`),
		"typ with its tree": headed(`{"alg":"ES256","kid":"day","typ":"application/at+jwt"}`),
		"typ in capitals":   headed(`{"alg":"ES256","kid":"day","typ":"AT+JWT"}`),
		"no kid":            headed(`{"alg":"ES256","typ":"at+jwt"}`),
		"unknown kid":       headed(`{"alg":"ES256","kid":"night","typ":"at+jwt"}`),
		"kid number":        headed(`{"alg":"ES256","kid":1,"typ":"at+jwt"}`),
		"empty kid":         headed(`{"alg":"ES256","kid":"","typ":"at+jwt"}`),
		"crit":              headed(`{"alg":"ES256","crit":["x"],"x":1,"kid":"day","typ":"at+jwt"}`),
		"b64":               headed(`{"alg":"ES256","b64":true,"kid":"day","typ":"at+jwt"}`),
		"alg twice":         headed(`{"alg":"ES256","alg":"ES256","kid":"day","typ":"at+jwt"}`),
		"signed by an embedded jwk": m.bearer(m.jws(`{"alg":"ES256","kid":"day","typ":"at+jwt","jwk":`+attacker+`}`,
			text, m.other)),
		"signed by an embedded jwk, no kid": m.bearer(m.jws(`{"alg":"ES256","typ":"at+jwt","jwk":`+attacker+`}`, text,
			m.other)),
		"signed by another key": m.bearer(m.jws(tokenHead, text, m.other)),
		"signature of zeros":    m.bearer(head + "." + body + "." + b64(make([]byte, 64))),
		"signature in DER": m.bearer(head + "." + body + "." + b64(append([]byte{0x30, 0x44, 2, 32},
			make([]byte, 66)...))),
		"no signature":  m.bearer(head + "." + body + "."),
		"signature cut": m.bearer(good[:len(good)-2]),
		"payload of another token": m.bearer(head + "." + strings.Split(m.token(m.claims().but("sub",
			"acme::other")), ".")[1] + "." + sig),
		"two parts": m.bearer(head + "." + body), "five parts": m.bearer(good + ".x.y"),
		"padding":        m.bearer(head + "=." + body + "." + sig),
		"a space before": m.request([]string{"Authorization", "Bearer  " + good}),
		"two tokens":     m.request([]string{"Authorization", "Bearer " + good + ", Bearer " + good}),
		"stray bit":      m.bearer(good[:len(good)-1] + string(stray(good[len(good)-1]))),
		"garbage":        m.bearer("garbage"),
		"a proof":        m.bearer(proof),
		"a status":       m.bearer(m.jws(statusHead, m.status().text(), m.day)),
		"too long":       claims("x", strings.Repeat("x", 8<<10)),
		"another issuer": claims("iss", "https://other.example"), "issuer with a slash": claims("iss", issuer+"/"),
		"no issuer":        claims("iss", nil),
		"another audience": claims("aud", []string{issuer}), "audience text": claims("aud", resource),
		"no audience":    claims("aud", nil),
		"audience empty": claims("aud", []string{}), "audience with an empty one": claims("aud", []string{resource, ""}),
		"no subject": claims("sub", nil), "subject number": claims("sub", 1), "no client_id": claims("client_id", nil),
		"no jti":      claims("jti", nil),
		"expired":     claims("iat", now.Unix()-300, "exp", now.Unix()-1),
		"expires now": claims("iat", now.Unix()-300, "exp", now.Unix()),
		"no exp":      claims("exp", nil), "exp text": claims("exp", "1900000000"),
		"exp before iat": claims("iat", now.Unix()+4, "exp", now.Unix()+3),
		"exp too large":  raw(`"exp":1800000300`, `"exp":1e300`), "no iat": claims("iat", nil),
		"iat in the future": claims("iat", now.Unix()+6),
		"nbf in the future": claims("nbf", now.Unix()+6), "no cnf": claims("cnf", nil), "cnf text": claims("cnf", "x"),
		"cnf null":                raw(`"cnf":{`, `"cnf":null,"y":{`),
		"cnf without certificate": claims("cnf", members{"jkt": jose.Thumbprint(&m.proof.PublicKey)}),
		"thumbprint cut":          claims("cnf", members{"x5t#S256": thumbprint(m.cert)[:42]}),
		"thumbprint in hex":       claims("cnf", members{"x5t#S256": strings.Repeat("ab", 32)}),
		"jkt no hash":             claims("cnf", members{"x5t#S256": thumbprint(m.cert), "jkt": "x"}),
		"generation text":         claims("generation", "4"), "generation fraction": claims("generation", 4.5),
		"generation negative":      claims("generation", -1),
		"generation with exponent": raw(`"generation":4`, `"generation":4e0`),
		"capabilities text":        claims("capabilities", "orders.read"),
		"a capability null":        claims("capabilities", []any{nil}), "handle number": claims("handle", 1),
		"sub twice":               raw(`"sub":`, `"sub":"acme::admin","sub":`),
		"sub twice, once escaped": raw(`"sub":`, `"s\u0075b":"acme::admin","sub":`),
		"x5t twice":               raw(`"x5t#S256":`, `"x5t#S256":"x","x5t#S256":`), "ISS": raw(`"iss"`, `"ISS"`),
		"nested too deep": raw(`"jti"`, `"x":`+deep+`,"jti"`),
		"trailing data":   raw(`"sub":"acme::kyc"}`, `"sub":"acme::kyc"}{}`),
		"an array":        m.bearer(m.jws(tokenHead, `[`+text+`]`, m.day)),
		"null":            m.bearer(m.jws(tokenHead, `null`, m.day)),
		"NaN":             raw(`"generation":4`, `"generation":NaN`), "not UTF-8": raw(`"acme::kyc"`, "\"acme::\xff\""),
		"leading zero": raw(`"generation":4`, `"generation":04`),
	})...)
}

// stray is the character of base64url that differs in a bit that stands for nothing.
func stray(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}
