package fleet

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"time"
)

// tokenHeader contains the fleet's secret: a load generator must not accept orders from
// anybody who reaches its port.
const tokenHeader = "X-Hpatune-Token"

// idle is how long a worker waits for its order, and for its run to be fetched, before it
// gives up because its coordinator is gone.
const idle = 15 * time.Minute

// Worker is one load generator: it waits for its order over HTTP, sends its
// shard, and serves the finished run folder until that has been fetched.
type Worker struct {
	Token string
	Dir   string // the run folder to be made
	// Send sends the order's shard into dir. It is called once. Its error is reported, and
	// the contents of dir are served anyway.
	Send func(ctx context.Context, o Order, dir string) error

	once     sync.Once
	orders   chan Order
	stop     context.CancelFunc
	bye      chan struct{}
	farewell sync.Once
	mu       sync.Mutex
	state    state
}

// state is what GET /state says.
type state struct {
	Now   int64  `json:"now"`   // the worker's clock, Unix ns
	State string `json:"state"` // waiting, sending, done
	Error string `json:"error,omitempty"`
}

// Serve works on l until the run has been fetched, ctx is done, or nobody came.
func (w *Worker) Serve(ctx context.Context, l net.Listener) error {
	w.orders, w.bye = make(chan Order, 1), make(chan struct{})
	w.set("waiting", nil)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	w.stop = stop
	server := &http.Server{Handler: w.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(closing)
	}()

	waited := time.NewTimer(idle)
	defer waited.Stop()
	select {
	case o := <-w.orders:
		w.set("sending", nil)
		err := w.Send(sending, o, w.Dir)
		if errors.Is(err, context.Canceled) {
			err = nil // told to stop: the run says that it is partial
		}
		w.set("done", err)
	case err := <-served:
		return fmt.Errorf("worker: %w", err)
	case <-waited.C:
		return fmt.Errorf("worker: no order within %s", idle)
	case <-ctx.Done():
		return ctx.Err()
	}
	waited.Reset(idle)
	select {
	case <-w.bye:
		return nil
	case err := <-served:
		return fmt.Errorf("worker: %w", err)
	case <-waited.C:
		return fmt.Errorf("worker: the run was not fetched within %s", idle)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Worker) set(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.State = name
	if err != nil {
		w.state.Error = err.Error()
	}
}

func (w *Worker) get() state {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Now = time.Now().UnixNano()
	return s
}

func (w *Worker) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(rw http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(rw).Encode(w.get())
	})
	mux.HandleFunc("POST /start", func(rw http.ResponseWriter, r *http.Request) {
		var o Order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(rw, "order: "+err.Error(), http.StatusBadRequest)
			return
		}
		taken := false
		w.once.Do(func() { w.orders <- o; taken = true })
		if !taken {
			http.Error(rw, "this load generator already has its order", http.StatusConflict)
		}
	})
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) { w.stop() })
	mux.HandleFunc("POST /bye", func(http.ResponseWriter, *http.Request) { w.farewell.Do(func() { close(w.bye) }) })
	mux.HandleFunc("GET /run", func(rw http.ResponseWriter, _ *http.Request) {
		if s := w.get(); s.State != "done" {
			http.Error(rw, "the run is not done: "+s.State, http.StatusConflict)
			return
		}
		if err := pack(rw, os.DirFS(w.Dir)); err != nil {
			panic(http.ErrAbortHandler) // a cut answer, not a short tar that looks whole
		}
	})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" { // the kubelet has no token
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(w.Token)) != 1 || w.Token == "" {
			http.Error(rw, "this load generator accepts orders only from the process that started it", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

// pack writes a folder as a tar.
func pack(w io.Writer, fsys fs.FS) error {
	t := tar.NewWriter(w)
	if err := t.AddFS(fsys); err != nil {
		return err
	}
	return t.Close()
}

// unpack writes what pack wrote into dir. A tar that is cut off is an error.
func unpack(r io.Reader, dir string) error {
	root, err := openRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := write(root, h.Name, t); err != nil {
			return err
		}
	}
}

// openRoot makes dir if it does not exist; paths cannot leave the root.
func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func write(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// Unpack writes the order's files into dir.
func (o Order) Unpack(dir string) error {
	root, err := openRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, data := range o.Files {
		if err := write(root, name, bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return nil
}

// Bundle returns a profile and the files that read opens, which must be the
// reading of the profile: what an order carries.
func Bundle(profile string, source []byte, files fs.FS, read func(fs.FS) error) (map[string][]byte, error) {
	out := map[string][]byte{profile: source}
	if files == nil {
		return out, nil
	}
	opened := &noting{FS: files}
	if err := read(opened); err != nil {
		return nil, err
	}
	for _, name := range opened.names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", profile, err)
		}
		out[name] = data
	}
	return out, nil
}

// noting is a file system that notes what is opened in it.
type noting struct {
	fs.FS
	names []string
}

func (n *noting) Open(name string) (fs.File, error) {
	n.names = append(n.names, name)
	return n.FS.Open(name)
}
