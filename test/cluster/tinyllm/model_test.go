package tinyllm

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

var small = Config{Dim: 16, Hidden: 24, Layers: 2, Heads: 4, KVHeads: 2, Vocab: 50, Context: 32, Seed: 7}

// naive computes the logits after tokens by definition, in float64 and without a
// cache: every position and every layer from the start.
func naive(m *Model, tokens []int) []float64 {
	mul := func(w []float32, x []float64, rows int) []float64 {
		out := make([]float64, rows)
		for r := range out {
			for c, v := range x {
				out[r] += float64(w[r*len(x)+c]) * v
			}
		}
		return out
	}
	norm := func(x []float64) []float64 {
		var ss float64
		for _, v := range x {
			ss += v * v
		}
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = v / math.Sqrt(ss/float64(len(x))+1e-5)
		}
		return out
	}
	head := m.Dim / m.Heads
	rope := func(v []float64, pos int) {
		for i := 0; i < len(v); i += 2 {
			a := float64(pos) / math.Pow(10000, float64(i%head)/float64(head))
			v[i], v[i+1] = v[i]*math.Cos(a)-v[i+1]*math.Sin(a), v[i]*math.Sin(a)+v[i+1]*math.Cos(a)
		}
	}
	xs := make([][]float64, len(tokens))
	for p, t := range tokens {
		for _, v := range m.embed[t*m.Dim : (t+1)*m.Dim] {
			xs[p] = append(xs[p], float64(v))
		}
	}
	for _, w := range m.layers {
		var qs, ks, vs [][]float64
		for p, x := range xs {
			n := norm(x)
			q, k := mul(w.wq, n, m.Dim), mul(w.wk, n, m.kvDim())
			rope(q, p)
			rope(k, p)
			qs, ks, vs = append(qs, q), append(ks, k), append(vs, mul(w.wv, n, m.kvDim()))
		}
		for p := range xs {
			att := make([]float64, m.Dim)
			for h := range m.Heads {
				at := h / (m.Heads / m.KVHeads) * head
				var weights []float64
				var sum float64
				for t := range p + 1 {
					var s float64
					for i := range head {
						s += qs[p][h*head+i] * ks[t][at+i]
					}
					weights = append(weights, math.Exp(s/math.Sqrt(float64(head))))
					sum += weights[t]
				}
				for t, a := range weights {
					for i := range head {
						att[h*head+i] += a / sum * vs[t][at+i]
					}
				}
			}
			for i, v := range mul(w.wo, att, m.Dim) {
				xs[p][i] += v
			}
			n := norm(xs[p])
			gate, up := mul(w.w1, n, m.Hidden), mul(w.w3, n, m.Hidden)
			for i, g := range gate {
				up[i] *= g / (1 + math.Exp(-g))
			}
			for i, v := range mul(w.w2, up, m.Dim) {
				xs[p][i] += v
			}
		}
	}
	return mul(m.head, norm(xs[len(xs)-1]), m.Vocab)
}

func TestForwardWithCacheEqualsTheDefinition(t *testing.T) {
	m, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	tokens := []int{3, 1, 4, 1, 5, 9, 2, 6, 49, 0}
	s := m.NewSequence()
	for i, tok := range tokens {
		got, want := s.Forward(tok, true), naive(m, tokens[:i+1])
		for v := range want {
			if math.Abs(float64(got[v])-want[v]) > 1e-4 {
				t.Fatalf("Forward(%v): logit %d = %v, want %v", tokens[:i+1], v, got[v], want[v])
			}
		}
	}
	if s.Len() != len(tokens) {
		t.Errorf("Len() = %d, want %d", s.Len(), len(tokens))
	}
}

func TestSampleFollowsTheDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	counts := [3]int{}
	const n = 20000
	for range n {
		// their softmax at temperature 1 is 0.5, 0.3, 0.2
		counts[Sample([]float32{float32(math.Log(5)), float32(math.Log(3)), float32(math.Log(2))}, 1, rng)]++
	}
	for i, want := range []float64{0.5, 0.3, 0.2} {
		if got := float64(counts[i]) / n; math.Abs(got-want) > 0.02 {
			t.Errorf("token %d was sampled %.3f of the time, want %.3f", i, got, want)
		}
	}
	if got := Sample([]float32{1, 3, 2}, 0, nil); got != 1 {
		t.Errorf("Sample at temperature 0 = %d, want the best, 1", got)
	}
}

func TestValidateReportsAllProblems(t *testing.T) {
	err := Config{Dim: 30, Hidden: 1, Layers: 1, Heads: 4, KVHeads: 3, Vocab: 1, Context: 1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "dim 30") || !strings.Contains(err.Error(), "kv heads 3") {
		t.Errorf("Validate() = %v, want both problems", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("DefaultConfig().Validate() = %v", err)
	}
}

func TestTextHasOneTokenAWordAndOneTextAToken(t *testing.T) {
	c := DefaultConfig()
	if got := len(c.Encode(strings.Repeat("a bb\tccc\n", 7))); got != 21 {
		t.Errorf("Encode of 21 words = %d tokens", got)
	}
	if got := len(c.Encode("")); got != 1 {
		t.Errorf("Encode of nothing = %d tokens, want 1: a model needs somewhere to start", got)
	}
	seen := map[string]int{}
	for tok := range 10000 {
		text := Decode(tok)
		if other, dup := seen[text]; dup {
			t.Fatalf("Decode(%d) = Decode(%d) = %q", tok, other, text)
		}
		seen[text] = tok
	}
}

func BenchmarkForward(b *testing.B) {
	m, err := New(DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	s := m.NewSequence()
	for b.Loop() {
		if s.Len() == 128 {
			s = m.NewSequence()
		}
		s.Forward(1, true)
	}
}
