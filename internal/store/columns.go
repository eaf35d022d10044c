package store

import (
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/parquet-go/parquet-go"
)

// A column is one field of a row: how it is read off a record, and put back.
// put returns a null Value where there is nothing to say.
type column[T any] struct {
	name string
	put  func(*tables, *T) parquet.Value
	get  func(*tables, *T, parquet.Value)
}

// requestRow declares the columns of requests/*.parquet, as in
// INTERFACES.md, and tokens_from after them; only its tags are used. Times are
// whole microseconds and delta-encoded; names are dictionaries.
type requestRow struct {
	Arrival    int64  `parquet:"arrival,delta,zstd"`
	Stage      int32  `parquet:"stage,delta,zstd"`
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
	Code       int32  `parquet:"code,optional,delta,zstd"`
	Backend    string `parquet:"backend,optional,dict,zstd"`
	NewConn    bool   `parquet:"new_conn,zstd"`
	Error      string `parquet:"error,optional,dict,zstd"`
	TokensFrom string `parquet:"tokens_from,optional,dict,zstd"`
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

	null = parquet.NullValue()
)

// micros rounds to whole microseconds, away from zero at the half.
func micros(d time.Duration) parquet.Value {
	return parquet.Int64Value(int64(d.Round(time.Microsecond) / time.Microsecond))
}

func duration(v parquet.Value) time.Duration { return time.Duration(v.Int64()) * time.Microsecond }

// instant is the column of an instant that may not have happened.
func instant(name string, at func(*results.Request) *time.Duration) column[results.Request] {
	return column[results.Request]{name,
		func(_ *tables, r *results.Request) parquet.Value {
			if d := *at(r); results.Happened(d) {
				return micros(d)
			}
			return null
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			*at(r) = results.NotYet
			if !v.IsNull() {
				*at(r) = duration(v)
			}
		}}
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

// text returns the value of an optional name.
func text(name []byte, ok bool) parquet.Value {
	if !ok {
		return null
	}
	return parquet.ByteArrayValue(name)
}

var requestColumns = []column[results.Request]{
	{"arrival",
		func(_ *tables, r *results.Request) parquet.Value { return parquet.Int64Value(int64(r.Arrival)) },
		func(_ *tables, r *results.Request, v parquet.Value) { r.Arrival = int(v.Int64()) }},
	{"stage",
		func(_ *tables, r *results.Request) parquet.Value { return parquet.Int32Value(int32(r.Stage)) },
		func(_ *tables, r *results.Request, v parquet.Value) { r.Stage = int16(v.Int32()) }},
	{"class",
		func(t *tables, r *results.Request) parquet.Value {
			// A profile without classes has class 0 and no name for it.
			if r.Class == 0 && len(t.classes) == 0 {
				return null
			}
			return text(lookup(t.classBytes, int32(r.Class)))
		},
		func(t *tables, r *results.Request, v parquet.Value) {
			r.Class = 0
			if !v.IsNull() {
				r.Class = t.findClass(string(v.ByteArray()))
			}
		}},
	instant("scheduled_us", func(r *results.Request) *time.Duration { return &r.Scheduled }),
	instant("sent_us", func(r *results.Request) *time.Duration { return &r.Sent }),
	instant("first_us", func(r *results.Request) *time.Duration { return &r.First }),
	instant("last_us", func(r *results.Request) *time.Duration { return &r.Last }),
	instant("done_us", func(r *results.Request) *time.Duration { return &r.Done }),
	{"gap_max_us",
		func(_ *tables, r *results.Request) parquet.Value {
			if r.GapMax == 0 {
				return null
			}
			return micros(r.GapMax)
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			if !v.IsNull() {
				r.GapMax = duration(v)
			}
		}},
	{"prompt_tokens",
		func(_ *tables, r *results.Request) parquet.Value {
			if r.Prompt == 0 {
				return null
			}
			return parquet.Int64Value(int64(r.Prompt))
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			if !v.IsNull() {
				r.Prompt = int(v.Int64())
			}
		}},
	{"tokens",
		func(_ *tables, r *results.Request) parquet.Value {
			if r.TokensFrom == results.TokensNone {
				return null
			}
			return parquet.Int64Value(int64(r.Tokens))
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			if !v.IsNull() {
				r.Tokens = int(v.Int64())
			}
		}},
	{"outcome",
		func(_ *tables, r *results.Request) parquet.Value {
			return parquet.ByteArrayValue(outcomeBytes[r.Outcome])
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			o, known := outcomes[string(v.ByteArray())]
			if !known {
				o = -1 // a later version's: failed, "unknown"
			}
			r.Outcome = o
		}},
	{"code",
		func(_ *tables, r *results.Request) parquet.Value {
			if r.Code == 0 {
				return null
			}
			return parquet.Int32Value(int32(r.Code))
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			if !v.IsNull() {
				r.Code = int(v.Int32())
			}
		}},
	{"backend",
		func(t *tables, r *results.Request) parquet.Value { return text(lookup(t.backendBytes, r.Backend)) },
		func(t *tables, r *results.Request, v parquet.Value) {
			r.Backend = -1
			if !v.IsNull() {
				r.Backend = t.find(results.BackendTable, string(v.ByteArray()))
			}
		}},
	{"new_conn",
		func(_ *tables, r *results.Request) parquet.Value { return parquet.BooleanValue(r.NewConn) },
		func(_ *tables, r *results.Request, v parquet.Value) { r.NewConn = v.Boolean() }},
	{"error",
		func(t *tables, r *results.Request) parquet.Value { return text(lookup(t.errorBytes, r.Err)) },
		func(t *tables, r *results.Request, v parquet.Value) {
			r.Err = -1
			if !v.IsNull() {
				r.Err = t.find(results.ErrorTable, string(v.ByteArray()))
			}
		}},
	{"tokens_from",
		func(_ *tables, r *results.Request) parquet.Value {
			return text(sourceBytes[r.TokensFrom], r.TokensFrom != results.TokensNone)
		},
		func(_ *tables, r *results.Request, v parquet.Value) {
			if !v.IsNull() {
				r.TokensFrom = sources[string(v.ByteArray())]
			}
		}},
}

// name is the column of a text of a Sample; "" is null where the column is
// optional.
func name(col string, optional bool, at func(*results.Sample) *string) column[results.Sample] {
	return column[results.Sample]{col,
		func(_ *tables, s *results.Sample) parquet.Value {
			return text([]byte(*at(s)), !optional || *at(s) != "")
		},
		func(_ *tables, s *results.Sample, v parquet.Value) {
			if !v.IsNull() {
				*at(s) = string(v.ByteArray())
			}
		}}
}

var sampleColumns = []column[results.Sample]{
	{"at_us",
		func(_ *tables, s *results.Sample) parquet.Value { return micros(s.At) },
		func(_ *tables, s *results.Sample, v parquet.Value) { s.At = duration(v) }},
	name("source", false, func(s *results.Sample) *string { return &s.Source }),
	name("name", false, func(s *results.Sample) *string { return &s.Name }),
	name("pod", true, func(s *results.Sample) *string { return &s.Pod }),
	name("container", true, func(s *results.Sample) *string { return &s.Container }),
	{"value",
		func(_ *tables, s *results.Sample) parquet.Value { return parquet.DoubleValue(s.Value) },
		func(_ *tables, s *results.Sample, v parquet.Value) { s.Value = v.Double() }},
	{"window_us",
		func(_ *tables, s *results.Sample) parquet.Value {
			if s.Window == 0 {
				return null
			}
			return micros(s.Window)
		},
		func(_ *tables, s *results.Sample, v parquet.Value) {
			if !v.IsNull() {
				s.Window = duration(v)
			}
		}},
	{"sampled_at_us",
		func(_ *tables, s *results.Sample) parquet.Value {
			if !results.Happened(s.SampledAt) {
				return null
			}
			return micros(s.SampledAt)
		},
		func(_ *tables, s *results.Sample, v parquet.Value) {
			s.SampledAt = results.NotYet
			if !v.IsNull() {
				s.SampledAt = duration(v)
			}
		}},
}
