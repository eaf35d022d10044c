package store

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/parquet-go/parquet-go"
)

// A column is one field of a row: how it is read from a record, by one of the four
// functions, and written back. ok is false for null.
//
// Note: rejected one function that returns a parquet.Value: the copy through the stack
// stalls, and a row took 0.2 µs more.
type column[T any] struct {
	name  string
	num   func(*tables, *T) (n int64, ok bool)
	text  func(*tables, *T) (name []byte, ok bool)
	flag  func(*T) bool
	float func(*T) float64
	get   func(*tables, *T, parquet.Value)
}

// requestRow declares the columns of requests/*.parquet, as in
// INTERFACES.md, and tokens_from and pieces after them; only its tags are used. Times are
// whole microseconds and delta-encoded; names are dictionaries.
type requestRow struct {
	Arrival    int64  `parquet:"arrival,delta,zstd"`
	Stage      int64  `parquet:"stage,delta,zstd"`
	Class      string `parquet:"class,optional,dict,zstd"`
	Scheduled  int64  `parquet:"scheduled_us,delta,zstd"`
	Sent       int64  `parquet:"sent_us,optional,delta,zstd"`
	First      int64  `parquet:"first_us,optional,delta,zstd"`
	Last       int64  `parquet:"last_us,optional,delta,zstd"`
	Done       int64  `parquet:"done_us,optional,delta,zstd"`
	GapMax     int64  `parquet:"gap_max_us,optional,delta,zstd"`
	Prompt     int64  `parquet:"prompt_tokens,optional,delta,zstd"`
	Tokens     int64  `parquet:"tokens,optional,delta,zstd"`
	Outcome    string `parquet:"outcome,dict,zstd"`
	Code       int64  `parquet:"code,optional,delta,zstd"`
	Backend    string `parquet:"backend,optional,dict,zstd"`
	NewConn    bool   `parquet:"new_conn,zstd"`
	Error      string `parquet:"error,optional,dict,zstd"`
	TokensFrom string `parquet:"tokens_from,optional,dict,zstd"`
	Pieces     int64  `parquet:"pieces,optional,delta,zstd"`
}

type sampleRow struct {
	At        int64   `parquet:"at_us,delta,zstd"`
	Source    string  `parquet:"source,dict,zstd"`
	Name      string  `parquet:"name,dict,zstd"`
	Pod       string  `parquet:"pod,optional,dict,zstd"`
	Container string  `parquet:"container,optional,dict,zstd"`
	Value     float64 `parquet:"value,zstd"`
	Window    int64   `parquet:"window_us,optional,delta,zstd"`
	SampledAt int64   `parquet:"sampled_at_us,optional,delta,zstd"`
}

var (
	requestSchema = parquet.NewSchema("request", parquet.SchemaOf(requestRow{}))
	sampleSchema  = parquet.NewSchema("sample", parquet.SchemaOf(sampleRow{}))
)

// micros rounds to whole microseconds, away from zero at the half.
func micros(d time.Duration) int64 {
	if d < 0 {
		return int64((d - time.Microsecond/2) / time.Microsecond)
	}
	return int64((d + time.Microsecond/2) / time.Microsecond)
}

var (
	outcomeBytes = make([][]byte, results.Outcomes)
	outcomes     = map[string]results.Outcome{}
	sourceBytes  = make([][]byte, results.TokensChunks+1)
	sources      = map[string]results.TokenSource{}
)

func init() {
	for i := range outcomeBytes {
		o := results.Outcome(i)
		outcomeBytes[i], outcomes[o.String()] = []byte(o.String()), o
	}
	for i := range sourceBytes {
		s := results.TokenSource(i)
		sourceBytes[i], sources[s.String()] = []byte(s.String()), s
	}
}

// integer is the column of a whole number, null where it is none.
func integer[T any](name string, none int64, put func(*T) int64, get func(*T, int64)) column[T] {
	return column[T]{name: name,
		num: func(_ *tables, r *T) (int64, bool) { n := put(r); return n, n != none },
		get: func(_ *tables, r *T, v parquet.Value) {
			if v.IsNull() {
				get(r, none)
			} else {
				get(r, v.Int64())
			}
		}}
}

// never is a none that no number is.
const never = math.MinInt64

// instant is the column of a time, null where it is none.
func instant[T any](name string, none time.Duration, at func(*T) *time.Duration) column[T] {
	return column[T]{name: name,
		num: func(_ *tables, r *T) (int64, bool) { d := *at(r); return micros(d), d != none },
		get: func(_ *tables, r *T, v parquet.Value) {
			*at(r) = none
			if !v.IsNull() {
				*at(r) = time.Duration(v.Int64()) * time.Microsecond
			}
		}}
}

// text is the column of a text of a Sample; "" is null where the column is
// optional.
func text(name string, at func(*results.Sample) *string) column[results.Sample] {
	return column[results.Sample]{name: name,
		text: func(_ *tables, s *results.Sample) ([]byte, bool) { return []byte(*at(s)), *at(s) != "" },
		get: func(_ *tables, s *results.Sample, v parquet.Value) {
			*at(s) = string(v.ByteArray())
		}}
}

var requestColumns = []column[results.Request]{
	integer(
		"arrival",
		never,
		func(r *results.Request) int64 { return int64(r.Arrival) },
		func(r *results.Request, n int64) { r.Arrival = int(n) },
	),
	integer(
		"stage",
		never,
		func(r *results.Request) int64 { return int64(r.Stage) },
		func(r *results.Request, n int64) { r.Stage = int16(n) },
	),
	{name: "class",
		text: func(t *tables, r *results.Request) ([]byte, bool) {
			// A profile without classes has class 0 and no name for it.
			if r.Class == 0 && len(t.classes) == 0 {
				return nil, false
			}
			return lookup(t.classBytes, int32(r.Class))
		},
		get: func(t *tables, r *results.Request, v parquet.Value) {
			r.Class = 0
			if !v.IsNull() {
				r.Class = t.findClass(v.ByteArray())
			}
		}},
	instant("scheduled_us", never, func(r *results.Request) *time.Duration { return &r.Scheduled }),
	instant("sent_us", results.NotYet, func(r *results.Request) *time.Duration { return &r.Sent }),
	instant("first_us", results.NotYet, func(r *results.Request) *time.Duration { return &r.First }),
	instant("last_us", results.NotYet, func(r *results.Request) *time.Duration { return &r.Last }),
	instant("done_us", results.NotYet, func(r *results.Request) *time.Duration { return &r.Done }),
	instant("gap_max_us", 0, func(r *results.Request) *time.Duration { return &r.GapMax }),
	integer(
		"prompt_tokens",
		0,
		func(r *results.Request) int64 { return int64(r.Prompt) },
		func(r *results.Request, n int64) { r.Prompt = int(n) },
	),
	{name: "tokens",
		num: func(_ *tables, r *results.Request) (int64, bool) {
			return int64(r.Tokens), r.TokensFrom != results.TokensNone
		},
		get: func(_ *tables, r *results.Request, v parquet.Value) {
			r.Tokens = 0
			if !v.IsNull() {
				r.Tokens = int(v.Int64())
			}
		}},
	{name: "outcome",
		text: func(_ *tables, r *results.Request) ([]byte, bool) { return outcomeBytes[r.Outcome], true },
		get: func(_ *tables, r *results.Request, v parquet.Value) {
			o, known := outcomes[string(v.ByteArray())]
			if !known {
				o = -1 // a later version's: failed, "unknown"
			}
			r.Outcome = o
		}},
	integer(
		"code",
		0,
		func(r *results.Request) int64 { return int64(r.Code) },
		func(r *results.Request, n int64) { r.Code = int(n) },
	),
	{name: "backend",
		text: func(t *tables, r *results.Request) ([]byte, bool) { return lookup(t.backendBytes, r.Backend) },
		get: func(t *tables, r *results.Request, v parquet.Value) {
			r.Backend = -1
			if !v.IsNull() {
				r.Backend = t.find(results.BackendTable, v.ByteArray())
			}
		}},
	{name: "new_conn",
		flag: func(r *results.Request) bool { return r.NewConn },
		get:  func(_ *tables, r *results.Request, v parquet.Value) { r.NewConn = !v.IsNull() && v.Boolean() }},
	{name: "error",
		text: func(t *tables, r *results.Request) ([]byte, bool) { return lookup(t.errorBytes, r.Err) },
		get: func(t *tables, r *results.Request, v parquet.Value) {
			r.Err = -1
			if !v.IsNull() {
				r.Err = t.find(results.ErrorTable, v.ByteArray())
			}
		}},
	{name: "tokens_from",
		text: func(_ *tables, r *results.Request) ([]byte, bool) {
			return sourceBytes[r.TokensFrom], r.TokensFrom != results.TokensNone
		},
		get: func(_ *tables, r *results.Request, v parquet.Value) { r.TokensFrom = sources[string(v.ByteArray())] }},
	integer(
		"pieces",
		0,
		func(r *results.Request) int64 { return int64(r.Pieces) },
		func(r *results.Request, n int64) { r.Pieces = int(n) },
	),
}

var sampleColumns = []column[results.Sample]{
	instant("at_us", never, func(s *results.Sample) *time.Duration { return &s.At }),
	text("source", func(s *results.Sample) *string { return &s.Source }),
	text("name", func(s *results.Sample) *string { return &s.Name }),
	text("pod", func(s *results.Sample) *string { return &s.Pod }),
	text("container", func(s *results.Sample) *string { return &s.Container }),
	{name: "value",
		float: func(s *results.Sample) float64 { return s.Value },
		get:   func(_ *tables, s *results.Sample, v parquet.Value) { s.Value = v.Double() }},
	instant("window_us", 0, func(s *results.Sample) *time.Duration { return &s.Window }),
	instant("sampled_at_us", results.NotYet, func(s *results.Sample) *time.Duration { return &s.SampledAt }),
}
