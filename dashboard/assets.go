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

// asset is a file of the page.
type asset struct {
	body      []byte
	mediaType string
	etag      string
}

// mediaTypes maps extensions to media types. The table of package mime depends on
// the machine.
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

// loadAssets returns the assets by the path at which they are served.
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

// serveAsset serves the asset with the given path; "" is the page itself.
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" {
		name = "index.html"
	}
	a, ok := h.assets[name]
	if !ok {
		writeError(w, http.StatusNotFound, "there is no such file")
		return
	}
	if !allowMethod(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if location, ok := missingSlash(r); ok {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache") // the browser asks each time, and the ETag answers
	header.Set("Content-Type", a.mediaType)
	header.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// serveDescription serves openapi.json.
func (h *Handler) serveDescription(w http.ResponseWriter, r *http.Request) {
	h.serveAsset(w, r, "api/openapi.json")
}

// missingSlash reports whether the request is for the mount point without its slash,
// where relative links would point to the wrong place, and returns where to redirect
// it. Only RequestURI still has what http.StripPrefix removed from the path.
func missingSlash(r *http.Request) (location string, missing bool) {
	if r.URL.Path != "" {
		return "", false
	}
	request, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || request.Path == "" || strings.HasSuffix(request.Path, "/") {
		return "", false
	}
	location = "./" + path.Base(request.EscapedPath()) + "/"
	if request.RawQuery != "" {
		location += "?" + request.RawQuery
	}
	return location, true
}
