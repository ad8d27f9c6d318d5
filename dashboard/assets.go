package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed assets openapi.json
var embedded embed.FS

// asset is a file that the page consists of.
type asset struct {
	body      []byte
	mediaType string
	tag       string // names the content
}

// mediaTypes are those of all assets. The system's own table differs from
// machine to machine.
var mediaTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".ico":   "image/x-icon",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".woff2": "font/woff2",
}

// loadAssets finds the assets by the path that they are served under.
func loadAssets() (map[string]asset, error) {
	all := make(map[string]asset)
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		mediaType, ok := mediaTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("dashboard: %s has no media type: add its extension to mediaTypes", name)
		}
		body, err := fs.ReadFile(embedded, name)
		if err != nil {
			return err
		}
		served, ok := strings.CutPrefix(name, "assets/")
		if !ok {
			served = "api/" + name
		}
		all[served] = asset{body, mediaType, fmt.Sprintf(`"%x"`, sha256.Sum256(body))}
		return nil
	})
	return all, err
}

// serveAsset serves a file; the page itself is at "".
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" {
		name = "index.html"
	}
	a, ok := h.assets[name]
	if !ok {
		fail(w, http.StatusNotFound, "there is no such file")
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if where, ok := missingSlash(r); ok {
		w.Header().Set("Location", where)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache") // ask whether it is still so, which the tag answers
	header.Set("Content-Type", a.mediaType)
	header.Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// missingSlash reports whether the request is for the mount point without its
// slash, beneath which relative links would lead astray, and where to go then.
// What was stripped of the path is known from the request's line alone.
func missingSlash(r *http.Request) (where string, missing bool) {
	if r.URL.Path != "" {
		return "", false
	}
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || asked.Path == "" || strings.HasSuffix(asked.Path, "/") {
		return "", false
	}
	where = "./" + path.Base(asked.EscapedPath()) + "/"
	if asked.RawQuery != "" {
		where += "?" + asked.RawQuery
	}
	return where, true
}
