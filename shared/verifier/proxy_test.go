package verifier

import (
	"bytes"
	"net/http"
	"testing"
)

// Whatever is in the header, what comes out is a certificate whose encoding was in it, or nothing.
func FuzzCertificateHeader(f *testing.F) {
	for _, c := range newMaker(f).proxyCases() {
		for _, s := range c.Steps {
			if s.Request == nil || c.Proxy == nil {
				continue
			}
			for _, h := range s.Request.Headers {
				if h[0] == "Client-Cert" && len(h[1]) < 4<<10 {
					f.Add(h[1])
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, format := range []Format{ClientCert, EscapedPEM} {
			p := &Proxy{Header: "Client-Cert", Format: format}
			c, err := p.certificate(http.Header{"Client-Cert": {value}})
			if err != nil || c == nil {
				continue
			}
			if der, err := p.decode(value); err != nil || !bytes.Equal(der, c.Raw) {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}
