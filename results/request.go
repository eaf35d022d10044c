package results

import "time"

// Latency returns a latency of an answered request by its metric's name, in
// run time:
//
//	ttft            first content − scheduled
//	e2e             done − scheduled
//	itl             the longest gap of the answer, a token
//	icl             the longest gap between two pieces of the answer
//	tpot            (last − first content) / (tokens − 1)
//	ttft_from_sent  first content − sent
//	e2e_from_sent   done − sent
//
// It returns false where the request was not answered well, or has no such
// latency: no TTFT without a stream, no gap in an answer that came in one piece.
func (r *Request) Latency(metric string) (time.Duration, bool) {
	m := MetricOf(metric)
	if r.Outcome != OK || m == nil || m.OfRequest == nil {
		return 0, false
	}
	return m.OfRequest(r)
}

// PerPiece is how many tokens a piece of the answer brought on average, at least
// 1. It is 1 where the server did not count the tokens, or the pieces were not
// counted.
func (r *Request) PerPiece() float64 {
	if r.TokensFrom != TokensUsage || r.Pieces == 0 {
		return 1
	}
	return max(1, float64(r.Tokens)/float64(r.Pieces))
}

func (r *Request) gapPerToken() (time.Duration, bool) {
	return time.Duration(float64(r.GapMax) / r.PerPiece()), r.GapMax > 0
}

// timePerToken is (last − first content) / (tokens − 1). An answer whose content
// came at one instant has none: 0 would be a speed that nobody measured.
func (r *Request) timePerToken() (time.Duration, bool) {
	d, ok := between(r.First, r.Last)
	if !ok || d <= 0 || r.Tokens < 2 {
		return 0, false
	}
	return d / time.Duration(r.Tokens-1), true
}

// InOnePiece reports whether a streamed answer of several tokens came all at one
// instant, so that it has no times between tokens.
func (r *Request) InOnePiece() bool {
	return r.Outcome == OK && Happened(r.First) && r.First == r.Last && r.Tokens > 1
}
