package tinyllm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Config is the shape of a llama2-like transformer. All counts are positive. Dim is
// divisible by Heads, and the result, the head size, is even. Heads is divisible by
// KVHeads.
//
// One token takes about 2·(Layers·(2·Dim² + 2·Dim·Dim·KVHeads/Heads + 3·Dim·Hidden) + Dim·Vocab)
// floating point operations, plus attention over the tokens before it.
type Config struct {
	Dim     int    // width of the residual stream
	Hidden  int    // width of the feed-forward layer
	Layers  int    // number of transformer blocks
	Heads   int    // query heads
	KVHeads int    // key and value heads, each shared by Heads/KVHeads query heads
	Vocab   int    // number of tokens
	Context int    // longest prompt + answer, in tokens
	Seed    uint64 // seed of the weights: the same seed gives the same answers
}

// DefaultConfig returns a shape that takes about 0.3 ms per token on one server core
// of 2024, so that tens of requests per second saturate a small pod.
func DefaultConfig() Config {
	return Config{Dim: 64, Hidden: 172, Layers: 8, Heads: 8, KVHeads: 4, Vocab: 512, Context: 1024, Seed: 1}
}

// Validate returns all problems of c in one error, or nil.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		n    int
	}{{"dim", c.Dim}, {"hidden", c.Hidden}, {"layers", c.Layers}, {"heads", c.Heads}, {"kv heads", c.KVHeads}, {"vocab", c.Vocab}, {"context", c.Context}} {
		if f.n <= 0 {
			errs = append(errs, fmt.Errorf("model %s %d: must be positive", f.name, f.n))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if c.Dim%c.Heads != 0 || c.Dim/c.Heads%2 != 0 {
		errs = append(errs, fmt.Errorf("model dim %d: must be an even multiple of heads %d (rotary pairs)", c.Dim, c.Heads))
	}
	if c.Heads%c.KVHeads != 0 {
		errs = append(errs, fmt.Errorf("model heads %d: must be a multiple of kv heads %d", c.Heads, c.KVHeads))
	}
	return errors.Join(errs...)
}

// layer holds one block's weights; matrices are row-major, with one row per output.
type layer struct {
	attnNorm, ffnNorm []float32
	wq, wk, wv, wo    []float32
	w1, w2, w3        []float32
}

// Model holds the weights. It is read-only after New, and can be used by many
// sequences at the same time.
type Model struct {
	Config
	embed  []float32 // Vocab × Dim
	layers []layer
	norm   []float32
	head   []float32 // Vocab × Dim; not tied to embed, because tied random weights only repeat the last token
}

// New returns a model with random weights from c.Seed. They have a normal
// distribution with standard deviation 1/√(inputs), which keeps activations near 1
// in all layers.
func New(c Config) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(c.Seed, 0x7469_6e79))
	matrix := func(rows, cols int) []float32 {
		w := make([]float32, rows*cols)
		s := 1 / math.Sqrt(float64(cols))
		for i := range w {
			w[i] = float32(rng.NormFloat64() * s)
		}
		return w
	}
	ones := func(n int) []float32 {
		w := make([]float32, n)
		for i := range w {
			w[i] = 1
		}
		return w
	}
	kv := c.kvDim()
	m := &Model{Config: c, embed: matrix(c.Vocab, c.Dim), norm: ones(c.Dim), head: matrix(c.Vocab, c.Dim)}
	for range c.Layers {
		m.layers = append(m.layers, layer{
			attnNorm: ones(c.Dim), ffnNorm: ones(c.Dim),
			wq: matrix(c.Dim, c.Dim), wk: matrix(kv, c.Dim), wv: matrix(kv, c.Dim), wo: matrix(c.Dim, c.Dim),
			w1: matrix(c.Hidden, c.Dim), w2: matrix(c.Dim, c.Hidden), w3: matrix(c.Hidden, c.Dim),
		})
	}
	return m, nil
}

func (c Config) kvDim() int { return c.Dim / c.Heads * c.KVHeads }

// Sequence is one prompt and its answer so far: the key-value cache and scratch
// space. It is not safe for concurrent use.
type Sequence struct {
	m       *Model
	n       int         // tokens in the cache
	k, v    [][]float32 // per layer: n × kvDim, growing with each token
	x, xb   []float32
	q, att  []float32
	h1, h2  []float32
	kv, out []float32
}

// NewSequence returns an empty sequence.
func (m *Model) NewSequence() *Sequence {
	kv := m.kvDim()
	return &Sequence{
		m: m, k: make([][]float32, m.Layers), v: make([][]float32, m.Layers),
		x: make([]float32, m.Dim), xb: make([]float32, m.Dim), q: make([]float32, m.Dim),
		att: make([]float32, m.Context), h1: make([]float32, m.Hidden), h2: make([]float32, m.Hidden),
		kv: make([]float32, kv), out: make([]float32, m.Vocab),
	}
}

// Len returns the number of tokens in the key-value cache.
func (s *Sequence) Len() int { return s.n }

// Forward runs token through the model at the next position. With logits, it
// returns the scores of the next token, valid until the next call. Otherwise it
// returns nil: only the last token of a prompt needs scores.
//
// It panics if the context is full or the token is outside the vocabulary; both
// are mistakes of the caller.
func (s *Sequence) Forward(token int, logits bool) []float32 {
	m, head, kvDim := s.m, s.m.Dim/s.m.Heads, s.m.kvDim()
	pos, share := s.n, s.m.Heads/s.m.KVHeads
	if pos >= m.Context {
		panic(fmt.Sprintf("tinyllm: context of %d tokens is full", m.Context))
	}
	x := s.x
	copy(x, m.embed[token*m.Dim:(token+1)*m.Dim])
	for l := range m.layers {
		w := &m.layers[l]
		rmsNorm(s.xb, x, w.attnNorm)
		matVec(s.q, w.wq, s.xb)
		rotate(s.q, pos, head)
		matVec(s.kv, w.wk, s.xb)
		rotate(s.kv, pos, head)
		s.k[l] = append(s.k[l], s.kv...)
		matVec(s.kv, w.wv, s.xb)
		s.v[l] = append(s.v[l], s.kv...)

		scale := float32(1 / math.Sqrt(float64(head)))
		for h := range m.Heads {
			q, at := s.q[h*head:(h+1)*head], h/share*head
			att := s.att[:pos+1]
			for t := range att {
				att[t] = dot(q, s.k[l][t*kvDim+at:t*kvDim+at+head]) * scale
			}
			softmax(att)
			out := s.xb[h*head : (h+1)*head]
			clear(out)
			for t, a := range att {
				for i, v := range s.v[l][t*kvDim+at : t*kvDim+at+head] {
					out[i] += a * v
				}
			}
		}
		matVec(s.q, w.wo, s.xb)
		add(x, s.q)

		rmsNorm(s.xb, x, w.ffnNorm)
		matVec(s.h1, w.w1, s.xb)
		matVec(s.h2, w.w3, s.xb)
		for i, g := range s.h1 { // SwiGLU
			s.h1[i] = g / (1 + float32(math.Exp(float64(-g)))) * s.h2[i]
		}
		matVec(s.xb, w.w2, s.h1)
		add(x, s.xb)
	}
	s.n++
	if !logits {
		return nil
	}
	rmsNorm(s.xb, x, m.norm)
	matVec(s.out, m.head, s.xb)
	return s.out
}

// Sample picks a token from logits at this temperature; 0 picks the best one. It
// overwrites the logits.
func Sample(logits []float32, temperature float64, rng *rand.Rand) int {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	if temperature <= 0 {
		return best
	}
	for i := range logits {
		logits[i] /= float32(temperature)
	}
	softmax(logits)
	r := rng.Float32()
	for i, p := range logits {
		if r -= p; r < 0 {
			return i
		}
	}
	return best // reached only by rounding
}

func rmsNorm(out, x, w []float32) {
	mean := dot(x, x)/float32(len(x)) + 1e-5
	inv := float32(1 / math.Sqrt(float64(mean)))
	for i := range out {
		out[i] = x[i] * inv * w[i]
	}
}

// rotate applies rotary position embedding to each head-sized part of v.
func rotate(v []float32, pos, head int) {
	for i := 0; i < len(v); i += 2 {
		angle := float64(pos) * math.Pow(10000, -float64(i%head)/float64(head))
		sin, cos := math.Sincos(angle)
		a, b := v[i], v[i+1]
		v[i], v[i+1] = a*float32(cos)-b*float32(sin), a*float32(sin)+b*float32(cos)
	}
}

func softmax(v []float32) {
	top := v[0]
	for _, x := range v {
		top = max(top, x)
	}
	var sum float32
	for i, x := range v {
		v[i] = float32(math.Exp(float64(x - top)))
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

func add(x, y []float32) {
	for i := range x {
		x[i] += y[i]
	}
}

// matVec sets out = w·x; w has len(out) rows of length len(x).
func matVec(out, w, x []float32) {
	n := len(x)
	for r := range out {
		out[r] = dot(w[r*n:(r+1)*n], x)
	}
}

// dot returns a·b. Four sums at a time save waiting for each addition.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
