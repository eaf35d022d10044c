// Countproxy runs a proxy that counts and holds requests in front of a workload that
// can be scaled to zero; see package countproxy.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/hpatune/hpatune/test/cluster/countproxy"
)

func main() {
	addr := flag.String("addr", ":8000", "address to listen at")
	to := flag.String("to", "", "URL to forward to")
	hold := flag.Duration("hold", time.Minute, "how long a request waits while nothing answers there")
	flag.Parse()
	u, err := url.Parse(*to)
	if err != nil || u.Host == "" {
		log.Fatalf("countproxy: -to %q: want a URL", *to)
	}
	server := &http.Server{Addr: *addr, Handler: countproxy.New(u, *hold), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal("countproxy: ", server.ListenAndServe())
}
