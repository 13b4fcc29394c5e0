package verifier

import (
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/url"
	"slices"
	"strings"
)

func (m maker) proxyCases() []vectorCase {
	token := m.token(m.claims())
	pemText := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.cert.Raw}))
	all := url.PathEscape(pemText)
	amazon := strings.NewReplacer("%2B", "+", "%2F", "/", "%3D", "=").Replace(all)
	der := ":" + base64.StdEncoding.EncodeToString(m.cert.Raw) + ":"
	from := func(remote string, values ...string) *vectorRequest {
		r := m.bearer(token)
		r.Remote, r.Certificate = remote, base64.StdEncoding.EncodeToString(m.elsewhere.Raw) // the proxy's own connection
		for _, v := range values {
			r.Headers = append(r.Headers, []string{"Client-Cert", v})
		}
		return r
	}
	own := m.bearer(token)
	own.Headers = append(own.Headers, []string{"Client-Cert", ":AA==:"})
	const near, far = "10.1.2.3:55555", "10.2.0.1:55555"
	var cases []vectorCase
	add := func(format, name, want string, r *vectorRequest) {
		cases = append(cases, vectorCase{
			Name:  format + ": " + name,
			Proxy: &vectorProxy{Networks: []string{"10.1.0.0/16", "fd00::/8"}, Header: "client-cert", Format: format},
			Steps: []vectorStep{m.alive(), ask(0, want, r)},
		})
	}
	bare := m.bearer(token)
	bare.Certificate, bare.Remote = "", near
	bare.Headers = append(bare.Headers, []string{"Client-Cert", der})
	cases = append(cases,
		vectorCase{Name: "off: a header is not believed",
			Steps: []vectorStep{m.alive(), ask(0, "access_token_bound_elsewhere", bare)}})
	for _, c := range []struct {
		format, good string
		bad          map[string]string
	}{
		{"client-cert", der, map[string]string{
			"PEM": all, "no colons": strings.Trim(der, ":"), "no end": der[:len(der)-1], "not base64": ":x!:",
			"base64url": ":" + b64(m.cert.Raw) + ":",
			"cut":       ":" + base64.StdEncoding.EncodeToString(m.cert.Raw[:99]) + ":", "something behind": der + ";a=b",
			"empty bytes":    "::",
			"more behind it": ":" + base64.StdEncoding.EncodeToString(append(slices.Clone(m.cert.Raw), 0)) + ":",
		}},
		{"escaped-pem", all, map[string]string{
			"DER": der, "two certificates": url.PathEscape(pemText + pemText), "text before": url.PathEscape("x\n" + pemText),
			"text behind": url.PathEscape(pemText + "x"),
			"a key":       url.PathEscape(strings.ReplaceAll(pemText, "CERTIFICATE", "PUBLIC KEY")),
			"no PEM":      "x", "bad escape": "%zz" + all,
		}},
	} {
		add(c.format, "good", "ok", from(near, c.good))
		add(c.format, "good, over IPv6", "ok", from("[fd00::7]:1", c.good))
		add(c.format, "good, over a mapped address", "ok", from("[::ffff:10.1.2.3]:1", c.good))
		add(c.format, "from elsewhere", "access_token_bound_elsewhere", from(far, c.good))
		add(c.format, "from elsewhere, over the agent's own connection", "ok", own)
		add(c.format, "no address", "access_token_bound_elsewhere", from("unix", c.good))
		add(c.format, "no header: the proxy's own certificate is not the client's", "access_token_bound_elsewhere",
			from(near))
		add(c.format, "empty", "access_token_bound_elsewhere", from(near, ""))
		add(c.format, "twice", "access_token_bound_elsewhere", from(near, c.good, c.good))
		add(c.format, "too long", "access_token_bound_elsewhere", from(near, c.good+strings.Repeat(" ", 16<<10)))
		for _, name := range slices.Sorted(maps.Keys(c.bad)) {
			add(c.format, name, "access_token_bound_elsewhere", from(near, c.bad[name]))
		}
	}
	add("escaped-pem", "as Amazon writes it", "ok", from(near, amazon))
	return cases
}
