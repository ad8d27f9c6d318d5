package main

import (
	"embed"
	"net/http"
)

//go:embed page.html page.css page.js
var page embed.FS

// servePage serves the page's files; / is page.html.
func servePage(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	if file == "" {
		file = "page.html"
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'")
	http.ServeFileFS(w, r, page, file)
}
