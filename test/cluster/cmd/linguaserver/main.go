// Linguaserver serves lingua-go's language detection over KServe's open
// inference protocol (v2, REST). The models are inside the program; loading
// them at the start is a real cold start: CPU seconds and hundreds of
// megabytes that grow with the number of languages.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pemistahl/lingua-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const modelName = "lingua"

// maxBody bounds a request's body in bytes.
const maxBody = 4 << 20

// tensor is one input or output of the v2 protocol.
type tensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     any    `json:"data,omitempty"`
}

// server answers for one model; detector is nil until it is loaded.
type server struct {
	detector  atomic.Pointer[lingua.LanguageDetector]
	slots     chan struct{} // one inference a slot: more at once only share the CPU
	draining  atomic.Bool
	reg       *prometheus.Registry
	requests  *prometheus.CounterVec
	duration  prometheus.Histogram
	inFlight  prometheus.Gauge
	loadTime  prometheus.Gauge
	languages []lingua.Language
}

func newServer(languages, slots int) *server {
	s := &server{
		slots:     make(chan struct{}, slots),
		reg:       prometheus.NewRegistry(),
		languages: firstLanguages(languages),
		requests: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "request_predict_total", Help: "Inference requests, by status."},
			[]string{"code"},
		),
		duration: prometheus.NewHistogram(
			prometheus.HistogramOpts{
				Name:    "request_predict_seconds",
				Help:    "Inference request duration.",
				Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
			},
		),
		inFlight: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "request_predict_in_progress", Help: "Inference requests inside, waiting ones too."},
		),
		loadTime: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "model_load_seconds", Help: "From start to loaded; 0 while loading."},
		),
	}
	s.reg.MustRegister(
		s.requests,
		s.duration,
		s.inFlight,
		s.loadTime,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return s
}

// firstLanguages returns n languages, those of most texts first.
func firstLanguages(n int) []lingua.Language {
	first := []lingua.Language{
		lingua.English,
		lingua.German,
		lingua.French,
		lingua.Spanish,
		lingua.Portuguese,
		lingua.Russian,
		lingua.Chinese,
		lingua.Japanese,
	}
	for _, l := range lingua.AllLanguages() {
		if !slices.Contains(first, l) {
			first = append(first, l)
		}
	}
	return first[:n]
}

func (s *server) load() {
	start := time.Now()
	d := lingua.NewLanguageDetectorBuilder().FromLanguages(s.languages...).WithPreloadedLanguageModels().Build()
	s.detector.Store(&d)
	s.loadTime.Set(time.Since(start).Seconds())
	log.Printf("%d languages loaded in %.2f s", len(s.languages), time.Since(start).Seconds())
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	live := func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]bool{"live": true}) }
	ready := func(w http.ResponseWriter, _ *http.Request) {
		ok := s.detector.Load() != nil && !s.draining.Load()
		code := http.StatusOK
		if !ok {
			code = http.StatusServiceUnavailable
		}
		reply(w, code, map[string]bool{"ready": ok})
	}
	model := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if name := r.PathValue("model"); name != modelName {
				reply(
					w,
					http.StatusNotFound,
					map[string]string{"error": fmt.Sprintf("model %q not found; this server has %q", name, modelName)},
				)
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("GET /v2", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"name": "linguaserver", "version": "1", "extensions": []string{}})
	})
	mux.HandleFunc("GET /v2/health/live", live)
	mux.HandleFunc("GET /v2/health/ready", ready)
	mux.HandleFunc("GET /v2/models/{model}/ready", model(ready))
	mux.HandleFunc("GET /v2/models/{model}", model(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{
			"name":     modelName,
			"versions": []string{"1"},
			"platform": "lingua-go",
			"inputs":   []tensor{{Name: "text", Datatype: "BYTES", Shape: []int{-1}}},
			"outputs": []tensor{
				{Name: "language", Datatype: "BYTES", Shape: []int{-1}},
				{Name: "confidence", Datatype: "FP64", Shape: []int{-1}},
			},
		})
	}))
	mux.HandleFunc("POST /v2/models/{model}/infer", model(s.infer))
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{}))
	return mux
}

func (s *server) infer(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	s.inFlight.Inc()
	code, body := s.answer(w, r)
	s.inFlight.Dec()
	s.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	s.duration.Observe(time.Since(start).Seconds())
	reply(w, code, body)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) (int, any) {
	problem := func(code int, format string, args ...any) (int, any) {
		return code, map[string]string{"error": fmt.Sprintf(format, args...)}
	}
	d := s.detector.Load()
	if d == nil {
		return problem(http.StatusServiceUnavailable, "model is loading")
	}
	var q struct {
		ID     string
		Inputs []struct {
			Name, Datatype string
			Shape          []int
			Data           []string
		}
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
		return problem(http.StatusBadRequest, "body: %v", err)
	}
	if len(q.Inputs) != 1 || q.Inputs[0].Name != "text" || q.Inputs[0].Datatype != "BYTES" {
		return problem(http.StatusBadRequest, "inputs: want one BYTES tensor named text")
	}
	in := q.Inputs[0]
	if len(in.Shape) != 1 || in.Shape[0] != len(in.Data) {
		return problem(http.StatusBadRequest, "input text: shape %v, but %d elements", in.Shape, len(in.Data))
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-r.Context().Done():
		return problem(499, "client left")
	}
	names, confidence := make([]string, len(in.Data)), make([]float64, len(in.Data))
	for i, text := range in.Data {
		if v := (*d).ComputeLanguageConfidenceValues(text); len(v) > 0 {
			names[i], confidence[i] = v[0].Language().IsoCode639_1().String(), v[0].Value()
		}
	}
	return http.StatusOK, map[string]any{"model_name": modelName, "model_version": "1", "id": q.ID, "outputs": []tensor{
		{"language", []int{len(names)}, "BYTES", names}, {"confidence", []int{len(names)}, "FP64", confidence}}}
}

// hostname says which replica answered: in a pod, the pod's name.
var hostname, _ = os.Hostname() // without one the header is empty, and says nothing

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Served-By", hostname)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a reader who left is no fault of the server
}

func main() {
	if err := run(); err != nil {
		log.Fatal("linguaserver: ", err)
	}
}

func run() error {
	all := len(lingua.AllLanguages())
	addr := flag.String("addr", "127.0.0.1:8000", "address to listen on; port 0 takes a free one, which is printed")
	languages := flag.Int(
		"languages",
		4,
		fmt.Sprintf("languages to load, 2 to %d: about 0.4 CPU-s for 2, 1.4 for 8, 10 for all", all),
	)
	slots := flag.Int("slots", 2, "inferences at once")
	drain := flag.Duration("drain", time.Second, "after SIGTERM, serve for this long before no more connections are taken")
	flag.Parse()
	if *languages < 2 || *languages > all || *slots < 1 {
		return fmt.Errorf("languages %d, slots %d: want 2 to %d languages and at least one slot", *languages, *slots, all)
	}
	s := newServer(*languages, *slots)
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", ln.Addr())
	go s.load() // ends with the process
	stop, done := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer done()
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	s.draining.Store(true)
	time.Sleep(*drain)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
