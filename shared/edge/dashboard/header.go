package dashboard

import (
	"net/http"
	"net/url"
	"strings"
)

// policy lets a page load only files of this function, and send forms only to it. Styles and scripts are files:
// injected ones would not run.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// secure sets what every page is sent with.
func secure(h http.Header, r *http.Request) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: that would also take the origin off forms, by which they are known as our own.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	// there it would bind every other port of the developer's too
	if host, _, _ := strings.Cut(r.Host, ":"); host != "localhost" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// sameOrigin reports whether a form was sent from a page of this host. Browsers say so in headers that no page can set.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	host := r.Header.Get("Host")
	if host == "" {
		host = r.Host
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Scheme == "https" && origin.Host != "" && strings.EqualFold(origin.Host, host)
}
