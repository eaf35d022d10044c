package profiles

import (
	"io/fs"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Profile is a load: what is sent, where, and when. README.md describes each field of its
// YAML. Make one with Parse, Load or Complete, which check it, fill in the defaults, place
// the stages one after the other and read the traces.
type Profile struct {
	Name        string      `json:"name"`
	Represents  string      `json:"represents"` // what one pass represents: day, week, or "" = unknown
	Seed        int64       `json:"seed"`       // used if the caller has no seed of its own; default 1
	Target      Target      `json:"target"`
	Prompts     Prompts     `json:"prompts"`
	Classes     []Class     `json:"classes"`
	Stages      []Stage     `json:"stages"`
	Objectives  []string    `json:"objectives"` // as results reads them: "ttft.p95 < 500ms"
	Connections Connections `json:"connections"`
	Timeouts    Timeouts    `json:"timeouts"`
	// AtZero is while no pod is ready: refuse (default), or hold 60s; results.AtZero reads it.
	AtZero string `json:"at_zero"`
	Abort  Abort  `json:"abort"`

	// Notes say how the profile was read, if that is worth knowing; Complete makes them.
	Notes []string `json:"-"`

	// Files is where Target.Body, Target.Files and Prompts.File are; nil = nowhere.
	Files fs.FS `json:"-"`
}

// Protocols are the values of Target.Protocol.
var Protocols = []string{"http", "openai-chat", "openai-completions", "kserve-v2", "kserve-v2-grpc", "bentoml"}

// StreamEnds are the values of Target.StreamEnd. strict: an answer ends in a
// finish_reason and [DONE]. lenient: in either of them, or, once it has text, in
// an end that HTTP itself tells from a connection that broke.
var StreamEnds = []string{"strict", "lenient"}

// Target is where requests go, and their shape.
type Target struct {
	Protocol string `json:"protocol"` // one of Protocols; default http
	URL      string `json:"url"`      // "" = given on the command line
	Path     string `json:"path"`     // "" = the protocol's own
	Method   string `json:"method"`   // plain HTTP; "" = GET without a body, POST with one
	Model    string `json:"model"`
	Stream   *bool  `json:"stream"` // nil = true for openai-*, else false; see Streams
	// StreamEnd is what a stream must end with: strict (default) or lenient; see StreamEnds.
	StreamEnd   string            `json:"stream_end"`
	Headers     map[string]string `json:"headers"`      // never secrets
	Body        string            `json:"body"`         // a file: .jsonl = a body a line, in turn; other = one body
	Files       string            `json:"files"`        // a folder whose files are the bodies, in turn
	Multipart   string            `json:"multipart"`    // send Files as form uploads in the field of this name; "" = raw
	ContentType string            `json:"content_type"` // "" = by the file's name
	// Request is merged into the body that the protocol writes, field by field:
	// temperature, ignore_eos, min_tokens. null removes a field that would be written:
	// max_tokens, stream_options.
	Request map[string]any `json:"request"`
}

// OtherNames are other tools' names for fields of a target, and what to write instead.
func (Target) OtherNames() map[string]string {
	return map[string]string{
		"extra_body":      "request",
		"extra":           "request",
		"params":          "request",
		"sampling_params": "request",
		"endpoint":        "path",
		"streaming":       "stream",
	}
}

// OtherNames are other tools' names for fields of a stage, and what to write instead.
func (Stage) OtherNames() map[string]string {
	const open = "rate: 5/s; a profile sets requests per second, not requests in flight"
	return map[string]string{
		"vus": open, "users": open, "concurrency": open, "connections": open, "target": open,
		"rps": "rate: 5/s", "qps": "rate: 5/s", "requests_per_second": "rate: 5/s", "rate_per_s": "rate: 5/s",
		"time": "duration: 5m", "length": "duration: 5m", "for": "duration: 5m",
	}
}

// Streams reports whether answers are asked for as event streams.
func (t Target) Streams() bool {
	if t.Stream != nil {
		return *t.Stream
	}
	return t.Protocol == "openai-chat" || t.Protocol == "openai-completions"
}

// Prompts is where the text of prompts comes from. The zero value generates text of
// Arrival.Prompt tokens.
type Prompts struct {
	File         string `json:"file"`                 // a prompt a line: text, or JSON {"prompt": "…"}; used in turn
	SharedPrefix int    `json:"shared_prefix_tokens"` // the first tokens of every prompt are one of Prefixes common texts
	Prefixes     int    `json:"prefixes"`             // how many; default 1
	// Turns is how many requests a conversation has, each with those before it; default 1.
	Turns    int `json:"turns"`
	Sessions int `json:"sessions"` // conversations that go on side by side; default 16
}

// Session returns an arrival's conversation and its turn in it, both from 0. Blocks of
// Sessions conversations take turns: arrivals 0…S-1 open S of them, S…2S-1 are their second
// turns, and so on.
func (p Prompts) Session(index int) (session, turn int) {
	turns, side := max(1, p.Turns), max(1, p.Sessions)
	block, in := index/(turns*side), index%(turns*side)
	return block*side + in%side, in / side
}

// Class is a kind of request. The class of an arrival is drawn by weight.
type Class struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"` // relative to the other classes; default 1
	Prompt Tokens  `json:"prompt_tokens"`
	Output Tokens  `json:"output_tokens"`
	// Request is merged into the body like Target.Request, over that.
	Request map[string]any `json:"request"`
}

// Shape is the form of a stage's rate.
type Shape string

// The shapes.
const (
	Constant Shape = "rate"
	Ramped   Shape = "ramp"
	Wave     Shape = "sine"
	Recorded Shape = "trace"
)

// Stage is a part of a profile. Exactly one of Rate, Ramp, Sine and Trace is set.
type Stage struct {
	Name     string        `json:"name"`
	Rate     *Rate         `json:"rate"`
	Ramp     *Ramp         `json:"ramp"`
	Sine     *Sine         `json:"sine"`
	Trace    *Trace        `json:"trace"`
	Duration time.Duration `json:"duration"` // of a trace: filled from its slice
	Process  Process       `json:"arrivals"`
	Warmup   bool          `json:"warmup"` // left out of all figures but replicas

	From time.Duration `json:"-"` // run time, inclusive; filled by Complete
	To   time.Duration `json:"-"` // run time, exclusive
}

// Shape returns which of the four the stage is; "" if none is set.
func (s *Stage) Shape() Shape {
	switch {
	case s.Rate != nil:
		return Constant
	case s.Ramp != nil:
		return Ramped
	case s.Sine != nil:
		return Wave
	case s.Trace != nil:
		return Recorded
	}
	return ""
}

// Ramp goes from one rate to another in a straight line.
type Ramp struct {
	From Rate `json:"from"`
	To   Rate `json:"to"`
}

// Sine is mean + amplitude·sin(2π·(t+shift)/period). The amplitude may equal
// the mean: the rate then touches zero once a period.
type Sine struct {
	Mean      Rate          `json:"mean"`
	Amplitude Rate          `json:"amplitude"`
	Period    time.Duration `json:"period"`
	Shift     time.Duration `json:"shift"` // how far into the wave the stage begins; ¾ of the period = at its lowest
}

// Trace is a slice of a recording, sent arrival by arrival.
type Trace struct {
	File string        `json:"file"`
	From time.Duration `json:"from"` // of the recording, inclusive
	// To is of the recording, exclusive; 0 = its last arrival, rounded up to a whole second.
	To        time.Duration `json:"to"`
	ScaleRate float64       `json:"scale_rate"` // arrivals a recorded one; default 1
	ScaleTime float64       `json:"scale_time"` // seconds sent a second recorded: 2 = half as fast; default 1
	Columns   Columns       `json:"columns"`    // where the file has other columns than a known layout
	Time      string        `json:"time"`       // of TraceTimes; "" = as the layout has it, else seconds

	rows []row // of the slice [From, To)
}

// Connections is who gets the traffic.
type Connections struct {
	Mode   results.ConnectionMode `json:"mode"`    // default realistic
	MaxAge time.Duration          `json:"max_age"` // default 10s
	Pools  int                    `json:"pools"`   // default 32
	// Backend is the response header that names who answered, if there is one, ideally the
	// pod; default X-Backend.
	Backend string `json:"backend_header"`
}

// ConnectionModes are the values of Connections.Mode.
var ConnectionModes = []string{
	string(results.Realistic), string(results.Pinned), string(results.Fresh), string(results.ToEndpoints),
}

// Timeouts is how long a request may take. Zero = the default; all count from
// the actual send but Idle, which counts from the last byte.
type Timeouts struct {
	Connect    time.Duration `json:"connect"`     // default 2s
	FirstToken time.Duration `json:"first_token"` // default 30s; without streaming, the first byte
	Idle       time.Duration `json:"idle"`        // default 10s; between tokens
	Total      time.Duration `json:"total"`       // default 5m
}

// Abort is when a run stops on its own: more than ErrorRate of the requests failed during
// the whole of For.
type Abort struct {
	ErrorRate Ratio         `json:"error_rate"` // default 0.5; 1 = never
	For       time.Duration `json:"for"`        // default 10s
}

// Duration returns how long the profile's schedule is.
func (p *Profile) Duration() time.Duration {
	if len(p.Stages) == 0 {
		return 0
	}
	return p.Stages[len(p.Stages)-1].To
}
