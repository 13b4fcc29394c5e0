package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assets embed.FS

// assetFile is a file under a name that holds its hash: a browser may keep it for good, and a new version has a new
// name.
type assetFile struct {
	name, mediaType string
	data            []byte
}

var byName, byAddress = load()

var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml"}

func load() (byName, byAddress map[string]assetFile) {
	byName, byAddress = map[string]assetFile{}, map[string]assetFile{}
	entries, err := assets.ReadDir("assets")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		data, err := assets.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(data)
		extension := path.Ext(e.Name())
		a := assetFile{
			name:      strings.TrimSuffix(e.Name(), extension) + "." + hex.EncodeToString(sum[:8]) + extension,
			mediaType: mediaTypes[extension],
			data:      data,
		}
		byName[e.Name()], byAddress[a.name] = a, a
	}
	return byName, byAddress
}

func assetURL(name string) string { return "/proxy/assets/" + byName[name].name }

var errAsset = errors.New("no such asset")

// asset serves a file. It needs no session, because the files are as public as the source.
func asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := byAddress[r.PathValue("asset")]
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	if !ok {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return errAsset
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.mediaType)
	_, err := w.Write(a.data)
	return err
}

// icons are drawn on a grid of 24 with a line of 1.75, in the colour of the text next to them.
var icons = map[string]string{
	"tower":    `<path d="M6 21V10l-1.5-1.2V4h3v2h2.8V4h3.4v2h2.8V4h3v4.8L18 10v11"/><path d="M4 21h16M10 21v-4.5a2 2 0 0 1 4 0V21"/>`,
	"overview": `<rect x="3.5" y="3.5" width="7" height="8" rx="1.5"/><rect x="13.5" y="3.5" width="7" height="5" rx="1.5"/><rect x="3.5" y="14.5" width="7" height="6" rx="1.5"/><rect x="13.5" y="11.5" width="7" height="9" rx="1.5"/>`,
	"agents":   `<rect x="4" y="7.5" width="16" height="12" rx="3"/><path d="M12 7.5V4M9 13v1.5M15 13v1.5M2 12.5v3M22 12.5v3"/>`,
	"pki":      `<path d="M12 3l7.5 2.8v5.4c0 4.7-3.1 8-7.5 9.8-4.400-1.800-7.500-5.100-7.500-9.800V5.800z"/><path d="M9 12l2.200 2.200L15.200 10"/>`,
	"audit":    `<path d="M9.500 14.500l5-5M11 6.500l1.800-1.800a4 4 0 0 1 5.700 5.700L16.700 12.200M13 17.500l-1.800 1.800a4 4 0 0 1-5.700-5.700l1.800-1.800"/>`,
	"warn":     `<path d="M12 4 2.800 20h18.400z"/><path d="M12 10v4.500M12 17.200v.1"/>`,
	"info":     `<circle cx="12" cy="12" r="8.500"/><path d="M12 11v5M12 8v.1"/>`,
	"check":    `<path d="M4.500 12.500l5 5L19.500 7"/>`,
	"cross":    `<path d="M6 6l12 12M18 6L6 18"/>`,
	"rotate":   `<path d="M20 11a8 8 0 0 0-14.500-3.500L3.500 10M4 13a8 8 0 0 0 14.500 3.500l2-2.500"/><path d="M3.500 5v5h5M20.500 19v-5h-5"/>`,
	"download": `<path d="M12 4v11M7.500 11l4.500 4.500 4.500-4.500M4.500 20h15"/>`,
	"search":   `<circle cx="11" cy="11" r="6.500"/><path d="M16 16l4.500 4.500"/>`,
	"back":     `<path d="M10 6l-6 6 6 6M4.500 12H20"/>`,
	"out":      `<path d="M14 4.500H6.500A2 2 0 0 0 4.500 6.500v11a2 2 0 0 0 2 2H14M10 12h10M16.500 8.500 20 12l-3.500 3.500"/>`,
	"clock":    `<circle cx="12" cy="12" r="8.500"/><path d="M12 7.500V12l3 2"/>`,
}

func icon(name string) template.HTML {
	const open, end = `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">`, `</svg>`
	return template.HTML(open + icons[name] + end) //nolint:gosec // of a fixed list
}
