package profiles

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
)

// Limits of what Arrival's fields can hold, and of what makes sense.
const (
	maxStages   = 1000
	maxClasses  = 1000
	maxArrivals = 1 << 31
	maxDuration = 366 * 24 * time.Hour
	maxTokens   = 100_000_000
	maxCV       = 100
)

// Complete checks a profile that was made in code, and returns a copy with the defaults
// filled in, the stages placed one after the other, and the traces read from fsys. All
// problems are reported at once. Those of the profile itself have a Path, but no File and
// no Line; those of a trace file have all three.
func (p Profile) Complete(fsys fs.FS) (*Profile, source.Problems) {
	c := &checker{fsys: fsys, traces: map[string]*recording{}}
	p.Files = fsys
	p.Stages, p.Classes = slices.Clone(p.Stages), slices.Clone(p.Classes)
	p.Target.Headers = maps.Clone(p.Target.Headers)
	fill(&p.Seed, 1)
	if p.Represents != "" && p.Represents != "day" && p.Represents != "week" {
		c.say("represents", fmt.Sprintf("%q is unknown", short(p.Represents)), "day or week")
	}
	if _, err := results.AtZero(p.AtZero); err != nil {
		text, try, _ := strings.Cut(err.Error(), "; try ")
		text = strings.TrimPrefix(strings.TrimPrefix(text, "at_zero"), ":")
		c.say("at_zero", strings.TrimSpace(text), try)
	}
	c.target(&p)
	c.prompts(&p.Prompts)
	c.request("target.request", p.Target, p.Target.Request)
	c.classes(p.Classes)
	for i, k := range p.Classes {
		c.request(fmt.Sprintf("classes[%d].request", i), p.Target, k.Request)
	}
	c.stages(p.Stages)
	for i, o := range p.Objectives {
		if _, err := results.ParseObjective(o); err != nil {
			text, try, _ := strings.Cut(err.Error(), "; try ")
			if bare, err := strconv.Unquote(try); err == nil {
				try = bare
			}
			c.say(fmt.Sprintf("objectives[%d]", i), text, try)
		}
	}
	c.rest(&p)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	p.Notes = c.notes
	return &p, nil
}

// Validate reports what Complete would.
func (p Profile) Validate(fsys fs.FS) source.Problems {
	_, problems := p.Complete(fsys)
	return problems
}

func fill[T comparable](to *T, with T) {
	var zero T
	if *to == zero {
		*to = with
	}
}

type checker struct {
	fsys     fs.FS
	traces   map[string]*recording
	problems source.Problems
	notes    []string
}

// note records a message that is not a problem, once.
func (c *checker) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.notes, text) {
		c.notes = append(c.notes, text)
	}
}

func (c *checker) say(path, text, try string) {
	c.problems = append(c.problems, source.Problem{Path: path, Text: text, Try: try})
}

// secrets are header names and query keys that contain credentials. A profile is stored
// with the run, so they must not be in it.
var secrets = []string{
	"authorization",
	"proxy-authorization",
	"cookie",
	"set-cookie",
	"x-api-key",
	"api-key",
	"apikey",
	"api_key",
	"x-auth-token",
	"token",
	"access_token",
	"auth",
	"key",
	"secret",
	"password",
	"sig",
	"signature",
}

func (c *checker) target(p *Profile) {
	t := &p.Target
	fill(&t.Protocol, "http")
	if !slices.Contains(Protocols, t.Protocol) {
		try := source.Nearest(t.Protocol, Protocols)
		if try == "" {
			try = "one of " + strings.Join(Protocols, ", ")
		}
		c.say("target.protocol", fmt.Sprintf("%q is unknown", short(t.Protocol)), try)
	}
	if fill(&t.StreamEnd, "strict"); !slices.Contains(StreamEnds, t.StreamEnd) {
		c.say("target.stream_end", fmt.Sprintf("%q is unknown", short(t.StreamEnd)), strings.Join(StreamEnds, " or "))
	}
	if t.URL != "" {
		c.url(t.URL)
	}
	if t.Path != "" && !strings.HasPrefix(t.Path, "/") {
		c.say("target.path", fmt.Sprintf("%q does not begin with a slash", short(t.Path)), "/"+short(t.Path))
	}
	if t.Method != "" && (t.Method != strings.ToUpper(t.Method) || !isToken(t.Method)) {
		c.say("target.method", fmt.Sprintf("%q is not an HTTP method", short(t.Method)), "GET, POST or PUT")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		at := "target.headers." + name
		switch {
		case slices.Contains(secrets, strings.ToLower(name)):
			c.say(at, "is a credential, but a profile is stored with its run", "--header-file FILE, or the environment")
		case !isToken(name):
			c.say(at, "is not a valid header name", "letters, digits and dashes")
		case strings.ContainsAny(t.Headers[name], "\r\n\x00"):
			c.say(at, "contains a line break", "one line")
		}
	}
	if t.Body != "" && t.Files != "" {
		c.say("target.files", "cannot be combined with target.body", "remove one of them")
	}
	if t.Multipart != "" && t.Files == "" {
		c.say("target.multipart", "needs target.files, the folder to upload from", "files: images")
	}
	c.exists("target.body", t.Body, false)
	c.exists("target.files", t.Files, true)
}

// written are the fields of a body that are made from other fields of the profile, and from
// which.
var written = map[string]string{
	"model": "target.model", "messages": "prompts", "prompt": "prompts", "stream": "target.stream",
	"id": "leave it out", "inputs": "a body file", "text": "prompts",
}

// request checks the fields that are merged into bodies.
func (c *checker) request(at string, t Target, fields map[string]any) {
	if len(fields) == 0 {
		return
	}
	own := map[string][]string{
		"openai-chat": {"model", "messages", "stream"}, "openai-completions": {"model", "prompt", "stream"},
		"kserve-v2": {"id", "inputs"}, "bentoml": {"text"},
	}[t.Protocol]
	switch {
	case t.Body != "" || t.Files != "":
		c.say(at, "has no effect with body files, which are sent as they are", "write the fields into the files")
		return
	case own == nil:
		c.say(
			at,
			fmt.Sprintf("protocol %s has no JSON body to merge fields into", t.Protocol),
			"body: FILE.json, or protocol: openai-chat",
		)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(own, name) {
			c.say(at+"."+name, "is set by hpatune", written[name])
		}
	}
}

func (c *checker) url(s string) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		try := "http://inference.example:8000"
		if u, err := url.Parse("http://" + s); err == nil && u.Host != "" && !strings.Contains(s, "://") {
			try = "http://" + short(s)
		}
		c.say("target.url", fmt.Sprintf("%q is not an http or https URL", short(s)), try)
		return
	}
	if u.User != nil {
		c.say(
			"target.url",
			"contains a user name or password, but a profile is stored with its run",
			"--header-file FILE, or the environment",
		)
	}
	for key := range u.Query() {
		if slices.Contains(secrets, strings.ToLower(key)) {
			c.say(
				"target.url",
				fmt.Sprintf("contains the credential %q, but a profile is stored with its run", short(key)),
				"--header-file FILE, or the environment",
			)
		}
	}
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// exists looks for a file (or a folder) that the profile names.
func (c *checker) exists(path, name string, folder bool) {
	if name == "" {
		return
	}
	if c.fsys == nil {
		c.say(path, fmt.Sprintf("%s: the profile has no folder to read it from", name), "give the profile as a file")
		return
	}
	info, err := fs.Stat(c.fsys, name)
	switch {
	case err != nil:
		c.say(path, unreadable(name, err), "a path relative to the profile")
	case info.IsDir() != folder && folder:
		c.say(path, name+" is a file", "the folder that holds the files")
	case info.IsDir() != folder:
		c.say(path, name+" is a folder", "a file in it")
	}
}

// unreadable says why a file could not be opened, without the machine's own paths.
func unreadable(name string, err error) string {
	if !fs.ValidPath(name) {
		return name + ": is not inside the profile's folder"
	}
	var pe *fs.PathError
	if asPath(err, &pe) {
		err = pe.Err
	}
	return fmt.Sprintf("%s: %v", name, err)
}

func (c *checker) prompts(p *Prompts) {
	for _, f := range []struct {
		name string
		v    *int
		def  int
		most int
	}{{"shared_prefix_tokens", &p.SharedPrefix, 0, maxTokens}, {"prefixes", &p.Prefixes, 1, 1 << 20}, {"turns",
		&p.Turns, 1, 1000}, {"sessions", &p.Sessions, 16, 1 << 20}} {
		fill(f.v, f.def)
		if *f.v < 0 || *f.v > f.most {
			c.say("prompts."+f.name, fmt.Sprintf("%d is not from 0 to %d", *f.v, f.most), "")
		}
	}
	c.exists("prompts.file", p.File, false)
}

func (c *checker) classes(cs []Class) {
	if len(cs) > maxClasses {
		c.say("classes", fmt.Sprintf("%d classes; at most %d", len(cs), maxClasses), "")
		return
	}
	names := map[string]int{}
	for i := range cs {
		at := fmt.Sprintf("classes[%d]", i)
		k := &cs[i]
		fill(&k.Weight, 1)
		if first, twice := names[k.Name]; twice && k.Name != "" {
			c.say(at+".name", fmt.Sprintf("%q is also the name of class %d", short(k.Name), first), "another name")
		}
		names[k.Name] = i
		if k.Name == "" {
			c.say(at, "has no name", "name: chat")
		}
		if !(k.Weight > 0 && k.Weight <= 1e9) {
			c.say(at+".weight", fmt.Sprintf("%g is not above 0", k.Weight), "1")
		}
		c.tokens(at+".prompt_tokens", k.Prompt)
		c.tokens(at+".output_tokens", k.Output)
	}
}

func (c *checker) tokens(at string, t Tokens) {
	if !(t.Mean >= 0 && t.Mean <= maxTokens) {
		c.say(at, fmt.Sprintf("%g tokens are not from 0 to %d", t.Mean, maxTokens), "128")
	}
	if !(t.CV >= 0 && t.CV <= maxCV) {
		c.say(at+".cv", fmt.Sprintf("%g is not from 0 to %d", t.CV, maxCV), "1")
	}
	if t.CV > 0 && t.Mean == 0 {
		c.say(at, "has a cv but no mean", "{mean: 128, cv: 1}")
	}
}

// headerName is a token of RFC 9110, section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (c *checker) rest(p *Profile) {
	fill(&p.Connections.Mode, results.Realistic)
	fill(&p.Connections.MaxAge, 10*time.Second)
	fill(&p.Connections.Pools, 32)
	fill(&p.Connections.Backend, "X-Backend")
	if !slices.Contains(ConnectionModes, string(p.Connections.Mode)) {
		c.say(
			"connections.mode",
			fmt.Sprintf("%q is unknown", short(string(p.Connections.Mode))),
			strings.Join(ConnectionModes, ", "),
		)
	}
	if p.Connections.Pools < 1 || p.Connections.Pools > 10_000 {
		c.say("connections.pools", fmt.Sprintf("%d is not from 1 to 10000", p.Connections.Pools), "32")
	}
	if !headerName.MatchString(p.Connections.Backend) {
		c.say(
			"connections.backend_header",
			fmt.Sprintf("%q is not a valid header name", short(p.Connections.Backend)),
			"X-Served-By",
		)
	}
	fill(&p.Timeouts.Connect, 2*time.Second)
	fill(&p.Timeouts.FirstToken, 30*time.Second)
	fill(&p.Timeouts.Idle, 10*time.Second)
	fill(&p.Timeouts.Total, 5*time.Minute)
	fill(&p.Abort.ErrorRate, 0.5)
	fill(&p.Abort.For, 10*time.Second)
	for _, d := range []struct {
		path string
		v    time.Duration
	}{{"connections.max_age", p.Connections.MaxAge}, {"timeouts.connect", p.Timeouts.Connect}, {"timeouts.first_token",
		p.Timeouts.FirstToken},
		{"timeouts.idle", p.Timeouts.Idle}, {"timeouts.total", p.Timeouts.Total}, {"abort.for", p.Abort.For}} {
		if d.v < 0 {
			c.say(d.path, fmt.Sprintf("duration %v is negative", d.v), (-d.v).String())
		}
	}
}

func (c *checker) stages(ss []Stage) {
	if len(ss) == 0 {
		c.say("stages", "is empty", "- {name: hold, rate: 5/s, duration: 5m}")
	}
	if len(ss) > maxStages {
		c.say("stages", fmt.Sprintf("%d stages; at most %d", len(ss), maxStages), "a trace")
		return
	}
	var now time.Duration
	var arrivals float64
	for i := range ss {
		s := &ss[i]
		at := fmt.Sprintf("stages[%d]", i)
		fill(&s.Name, fmt.Sprintf("stage-%d", i+1))
		fill(&s.Process.Law, Poisson)
		before := len(c.problems)
		c.stage(at, s)
		s.From = now
		if now += s.Duration; now > maxDuration {
			c.say(at+".duration", "the profile is longer than a year", "shorter stages")
			return
		}
		s.To = now
		if len(c.problems) == before {
			arrivals += s.expected(0, s.Duration)
		}
	}
	if arrivals > maxArrivals {
		c.say("stages", fmt.Sprintf("%.3g arrivals; at most %d", arrivals, maxArrivals), "a lower rate, or shorter stages")
	}
}

func (c *checker) stage(at string, s *Stage) {
	var shapes []string
	for name, set := range map[string]bool{"rate": s.Rate != nil, "ramp": s.Ramp != nil, "sine": s.Sine != nil,
		"trace": s.Trace != nil} {
		if set {
			shapes = append(shapes, name)
		}
	}
	slices.Sort(shapes)
	switch {
	case len(shapes) == 0:
		c.say(at, "has no shape: add rate, ramp, sine or trace", "rate: 5/s")
		return
	case len(shapes) > 1:
		c.say(at, fmt.Sprintf("has %s; a stage has one shape", strings.Join(shapes, " and ")), "a stage for each")
		return
	}
	if s.Process.Law == Gamma && !(s.Process.CV > 0 && s.Process.CV <= maxCV) {
		c.say(at+".arrivals.gamma.cv", fmt.Sprintf("%g is not above 0 and at most %d", s.Process.CV, maxCV), "2")
	}
	if s.Trace != nil {
		c.trace(at+".trace", s)
		return
	}
	switch {
	case s.Duration == 0:
		c.say(at, "has no duration", "duration: 5m")
	case s.Duration < 0:
		c.say(at+".duration", fmt.Sprintf("duration %v is negative", s.Duration), (-s.Duration).String())
		s.Duration = 0
	}
	switch {
	case s.Rate != nil:
		c.rate(at+".rate", *s.Rate)
	case s.Ramp != nil:
		c.rate(at+".ramp.from", s.Ramp.From)
		c.rate(at+".ramp.to", s.Ramp.To)
		s.Ramp = new(*s.Ramp)
	case s.Sine != nil:
		s.Sine = new(*s.Sine)
		c.sine(at+".sine", s.Sine)
	}
}

func (c *checker) rate(at string, r Rate) {
	if !(r >= 0 && r <= maxRate) || math.IsNaN(float64(r)) {
		c.say(at, fmt.Sprintf("rate %v is not from 0/s to %v", r, maxRate), "5/s")
	}
}

func (c *checker) sine(at string, s *Sine) {
	c.rate(at+".mean", s.Mean)
	c.rate(at+".amplitude", s.Amplitude)
	if s.Amplitude > s.Mean {
		c.say(
			at+".amplitude",
			fmt.Sprintf("amplitude %v is above the mean of %v: the rate would be negative", s.Amplitude, s.Mean),
			"at most "+s.Mean.String(),
		)
	}
	switch {
	case s.Period == 0:
		c.say(at, "has no period", "period: 10m")
	case s.Period < time.Millisecond:
		c.say(at+".period", fmt.Sprintf("period %v is below 1ms", s.Period), "10m")
	}
	if s.Shift < 0 {
		c.say(at+".shift", fmt.Sprintf("duration %v is negative", s.Shift), (-s.Shift).String())
	}
}
