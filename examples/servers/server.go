// SPDX-License-Identifier: MIT

// Answers each request in a goroutine of its own.
package main

import (
	"fmt"
	"log"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Go to %s\n", r.RemoteAddr)
	})
	log.Fatal(http.ListenAndServe(":80", nil))
}
