package loadgen

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hpatune/hpatune/results"
)

// A unary gRPC call is an HTTP/2 POST of one framed message, whose verdict
// stands in the trailers: so the meter, its deadlines and its connections serve
// it as they are. Of KServe's protobuf (inference.GRPCInferenceService) only
// ModelInfer is written and read, by field number.
const inferMethod = "/inference.GRPCInferenceService/ModelInfer"

// frame puts the five bytes of gRPC's framing before a message: not
// compressed, and its length.
func frame(message []byte) []byte {
	b := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(b[1:], uint32(len(message)))
	return append(b, message...)
}

// inferInput is a tensor of an inference request in the JSON of KServe v2.
type inferInput struct {
	Name     string          `json:"name"`
	Shape    []int64         `json:"shape"`
	Datatype string          `json:"datatype"`
	Data     json.RawMessage `json:"data"`
}

// inferRequest turns the JSON body of an inference request, as the REST
// protocol has it, into a framed ModelInferRequest for model:
//
//	1 model_name, 3 id, 5 inputs {1 name, 2 datatype, 3 shape, 5 contents}
//
// Data may be nested arrays, as REST allows. FP16 and BF16 have no contents
// field in the protocol and are refused.
func inferRequest(body []byte, model string) ([]byte, error) {
	var o struct {
		ID     string       `json:"id"`
		Inputs []inferInput `json:"inputs"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, fmt.Errorf("inference request: %w", err)
	}
	if len(o.Inputs) == 0 {
		return nil, fmt.Errorf(
			`inference request: no inputs; try {"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}`,
		)
	}
	m := field(nil, 1, []byte(model))
	m = field(m, 3, []byte(o.ID))
	for _, in := range o.Inputs {
		contents, err := in.contents()
		if err != nil {
			return nil, fmt.Errorf("inference request: input %s: %w", in.Name, err)
		}
		var shape []byte
		for _, n := range in.Shape {
			shape = protowire.AppendVarint(shape, uint64(n))
		}
		t := field(nil, 1, []byte(in.Name))
		t = field(t, 2, []byte(in.Datatype))
		t = field(t, 3, shape)
		t = field(t, 5, contents)
		m = field(m, 5, t)
	}
	return frame(m), nil
}

// field appends a length-delimited field; empty ones are left out, as proto3 does.
func field(dst []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	return protowire.AppendBytes(dst, v)
}

// contents returns the tensor's InferTensorContents: 1 bool, 2 int32, 3 int64,
// 4 uint32, 5 uint64, 6 fp32, 7 fp64, 8 bytes.
func (in inferInput) contents() ([]byte, error) {
	var out, packed []byte
	n := map[string]protowire.Number{
		"BOOL": 1, "INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3, "UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5,
		"FP32": 6, "FP64": 7, "BYTES": 8,
	}[in.Datatype]
	if n == 0 {
		return nil, fmt.Errorf("datatype %q cannot be sent over gRPC; try FP32, INT64 or BYTES", in.Datatype)
	}
	err := leaves(in.Data, func(v json.RawMessage) error {
		switch n {
		case 8:
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return err
			}
			// Repeated strings are not packed, and an empty one is an element.
			out = protowire.AppendTag(out, 8, protowire.BytesType)
			out = protowire.AppendBytes(out, []byte(s))
		case 6, 7:
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return err
			}
			if n == 6 {
				packed = protowire.AppendFixed32(packed, math.Float32bits(float32(f)))
			} else {
				packed = protowire.AppendFixed64(packed, math.Float64bits(f))
			}
		case 1:
			b, err := strconv.ParseBool(string(v))
			if err != nil {
				return err
			}
			packed = protowire.AppendVarint(packed, protowire.EncodeBool(b))
		case 4, 5:
			u, err := strconv.ParseUint(string(v), 10, 64)
			if err != nil {
				return err
			}
			packed = protowire.AppendVarint(packed, u)
		default:
			i, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				return err
			}
			packed = protowire.AppendVarint(packed, uint64(i))
		}
		return nil
	})
	return field(out, n, packed), err
}

// leaves calls visit with each value in nested arrays, in order.
func leaves(data json.RawMessage, visit func(json.RawMessage) error) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return visit(data)
	}
	for _, v := range list {
		if err := leaves(v, visit); err != nil {
			return err
		}
	}
	return nil
}

// judgeGRPC judges a gRPC answer whose body has been read to its end, and
// returns its gRPC code, 0 = OK. Codes are named after the HTTP statuses that
// gRPC itself maps them to: RESOURCE_EXHAUSTED is a 429, what the client did
// wrong a 4xx, DEADLINE_EXCEEDED a time-out, the rest a 5xx.
func judgeGRPC(resp *http.Response, body []byte) (v verdict, code int) {
	status, message := resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message")
	if status == "" { // an answer of trailers alone
		status, message = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
	}
	if status == "" {
		return verdict{outcome: results.Truncated, text: "answer without grpc-status"}, 0
	}
	code, err := strconv.Atoi(status)
	if err != nil {
		return inBand("grpc-status %q is not a number", status), 0
	}
	if code != 0 {
		if m, err := url.PathUnescape(message); err == nil {
			message = m
		}
		v = verdict{outcome: results.HTTP5xx, text: fmt.Sprintf("gRPC code %d: %s", code, message)}
		switch code {
		case 4:
			v.outcome = results.Timeout
		case 8:
			v.outcome = results.HTTP429
		case 3, 5, 6, 7, 9, 10, 11, 12, 16:
			v.outcome = results.HTTP4xx
		}
		return v, code
	}
	if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:]))+5 != len(body) {
		return inBand("the answer is not a single gRPC message"), 0
	}
	return judgeInferMessage(body[5:]), 0
}

// judgeInferMessage judges a ModelInferResponse: at least one output (5), each
// with name (1), datatype (2) and contents (5), or with its bytes
// among raw_output_contents (6).
func judgeInferMessage(b []byte) verdict {
	outputs, raw, bare, nameless := 0, 0, 0, false
	ok := fields(b, func(n protowire.Number, v []byte) bool {
		switch n {
		case 6:
			raw++
		case 5:
			outputs++
			seen := [6]bool{}
			if !fields(v, func(n protowire.Number, v []byte) bool {
				if n < 6 {
					seen[n] = true
				}
				return true
			}) {
				return false
			}
			nameless = nameless || !seen[1] || !seen[2]
			if !seen[5] {
				bare++
			}
		}
		return true
	})
	switch {
	case !ok:
		return inBand("answer is not a ModelInferResponse")
	case outputs == 0:
		return inBand("answer has no outputs")
	case nameless:
		return inBand("output lacks its name or datatype")
	case bare > 0 && raw != outputs:
		return inBand("%d outputs have no data", bare)
	}
	return verdict{}
}

// fields calls visit with each field; v is nil unless it is length-delimited.
// It returns false where b is not protobuf, or visit says so.
func fields(b []byte, visit func(n protowire.Number, v []byte) bool) bool {
	for len(b) > 0 {
		n, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return false
		}
		b = b[k:]
		var v []byte
		if typ == protowire.BytesType {
			v, k = protowire.ConsumeBytes(b)
		} else {
			k = protowire.ConsumeFieldValue(n, typ, b)
		}
		if k < 0 || !visit(n, v) {
			return false
		}
		b = b[k:]
	}
	return true
}
