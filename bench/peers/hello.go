// The peer "Go": net/http as its documentation shows it.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func hello(w http.ResponseWriter, _ *http.Request) {
	fields := w.Header()
	fields.Set("Content-Type", "text/plain; charset=utf-8")
	fields.Set("Cache-Control", "public, max-age=1, stale-while-revalidate=9, stale-if-error=9")
	fields.Set("Vary", "Accept, Accept-Language")
	fields.Set("Content-Language", "en")
	fields.Set("Access-Control-Allow-Origin", "*")
	fields.Set("ETag", `"826d57c83490ed46"`)
	fields.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	fields.Set("Referrer-Policy", "no-referrer")
	fields.Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, "Hello World\n")
}

func main() {
	http.HandleFunc("/", hello)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
