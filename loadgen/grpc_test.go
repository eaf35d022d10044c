package loadgen

import (
	"net"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// inferProto is KServe's open inference protocol as far as ModelInfer needs it,
// built by Google's own library: what it reads of our bytes is the check.
func inferProto(t *testing.T) protoreflect.FileDescriptor {
	const (
		str, i32, i64, u32, u64 = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_UINT32, descriptorpb.FieldDescriptorProto_TYPE_UINT64
		f32, f64, boo, raw, msg = descriptorpb.FieldDescriptorProto_TYPE_FLOAT, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	one := func(name string, n int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &n, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	many := func(name string, n int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		f := one(name, n, typ)
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		return f
	}
	of := func(f *descriptorpb.FieldDescriptorProto, message string) *descriptorpb.FieldDescriptorProto {
		f.TypeName = new(".inference." + message)
		return f
	}
	tensor := func(name string) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: new(name), Field: []*descriptorpb.FieldDescriptorProto{
			one("name", 1, str), one("datatype", 2, str), many("shape", 3, i64), of(one("contents", 5, msg), "InferTensorContents"),
		}}
	}
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("open_inference.proto"), Package: new("inference"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("InferTensorContents"), Field: []*descriptorpb.FieldDescriptorProto{
				many("bool_contents", 1, boo), many("int_contents", 2, i32), many("int64_contents", 3, i64), many("uint_contents", 4, u32),
				many("uint64_contents", 5, u64), many("fp32_contents", 6, f32), many("fp64_contents", 7, f64), many("bytes_contents", 8, raw),
			}},
			tensor("InferInputTensor"), tensor("InferOutputTensor"),
			{Name: new("ModelInferRequest"), Field: []*descriptorpb.FieldDescriptorProto{
				one("model_name", 1, str), one("model_version", 2, str), one("id", 3, str), of(many("inputs", 5, msg), "InferInputTensor"), many("raw_input_contents", 7, raw),
			}},
			{Name: new("ModelInferResponse"), Field: []*descriptorpb.FieldDescriptorProto{
				one("model_name", 1, str), one("model_version", 2, str), one("id", 3, str), of(many("outputs", 5, msg), "InferOutputTensor"), many("raw_output_contents", 6, raw),
			}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// inferServer is a real gRPC server that answers ModelInfer with what answer returns, as JSON.
func inferServer(t *testing.T, answer func(request string) (string, error)) string {
	fd := inferProto(t)
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		if m, _ := grpc.MethodFromServerStream(s); m != inferMethod {
			return status.Error(codes.Unimplemented, m)
		}
		req := dynamicpb.NewMessage(fd.Messages().ByName("ModelInferRequest"))
		if err := s.RecvMsg(req); err != nil {
			return err
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(req)
		if err != nil {
			return err
		}
		out, err := answer(strings.ReplaceAll(string(text), " ", ""))
		if err != nil {
			return err
		}
		resp := dynamicpb.NewMessage(fd.Messages().ByName("ModelInferResponse"))
		if err := protojson.Unmarshal([]byte(out), resp); err != nil {
			return err
		}
		return s.SendMsg(proto.Message(resp))
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)
	return l.Addr().String()
}

func TestGRPCIsSpokenWithARealServer(t *testing.T) {
	const good = `{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"contents":{"fp32_contents":[1.5]}}]}`
	body := fstest.MapFS{"in.json": {Data: []byte(`{"id":"n{{arrival}}","inputs":[
		{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,-4.5]]},
		{"name":"i","shape":[2],"datatype":"INT64","data":[-7,8]},
		{"name":"b","shape":[2],"datatype":"BOOL","data":[true,false]},
		{"name":"s","shape":[1],"datatype":"BYTES","data":["héllo"]}]}`)}}
	for _, c := range []struct {
		name   string
		answer string
		err    error
		want   results.Outcome
		code   int
		text   string
	}{
		{"a good answer", good, nil, results.OK, 200, ""},
		{"raw output", `{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}],"raw_output_contents":["AAAAAA=="]}`, nil, results.OK, 200, ""},
		{"no outputs", `{"id":"x"}`, nil, results.InBand, 200, "no outputs"},
		{"an output without data", `{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}`, nil, results.InBand, 200, "no data"},
		{"an output without name", `{"outputs":[{"datatype":"FP32","shape":[1],"contents":{"fp32_contents":[1]}}]}`, nil, results.InBand, 200, "lacks"},
		{"a full queue", "", status.Error(codes.ResourceExhausted, "queue full"), results.HTTP429, 8, "queue full"},
		{"a bad request", "", status.Error(codes.InvalidArgument, "shape"), results.HTTP4xx, 3, "code 3: shape"},
		{"a broken server", "", status.Error(codes.Internal, "CUDA, 100 % broken"), results.HTTP5xx, 13, "CUDA, 100 % broken"},
		{"the server's own deadline", "", status.Error(codes.DeadlineExceeded, "late"), results.Timeout, 4, "late"},
	} {
		var seen string
		addr := inferServer(t, func(request string) (string, error) { seen = request; return c.answer, c.err })
		profile := plan(profiles.Target{Protocol: "kserve-v2-grpc", Model: "m", Body: "in.json"}, short)
		profile.Files = body
		list, rep := loadURL(t, Options{Arrivals: constant(1, 0), Profile: profile, URL: addr})
		r := list[0]
		text := ""
		if r.Err >= 0 {
			text = rep.Errors[r.Err]
		}
		if r.Outcome != c.want || r.Code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s: %v, code %d, %q; want %v, %d, %q", c.name, r.Outcome, r.Code, text, c.want, c.code, c.text)
		}
		const want = `{"model_name":"m","id":"n0","inputs":[{"name":"x","datatype":"FP32","shape":["2","2"],"contents":{"fp32_contents":[1,2,3,-4.5]}},` +
			`{"name":"i","datatype":"INT64","shape":["2"],"contents":{"int64_contents":["-7","8"]}},` +
			`{"name":"b","datatype":"BOOL","shape":["2"],"contents":{"bool_contents":[true,false]}},` +
			`{"name":"s","datatype":"BYTES","shape":["1"],"contents":{"bytes_contents":["aMOpbGxv"]}}]}`
		if seen != want {
			t.Errorf("%s: the server read %s, want %s", c.name, seen, want)
		}
	}
}

func TestGRPCBodiesAreCheckedBeforeTheFirstRequest(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{}`, "no inputs"},
		{`{"inputs":[{"name":"x","datatype":"FP16","shape":[1],"data":[1]}]}`, "FP16"},
		{`{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":["a"]}]}`, "input x"},
		{`{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[{{prompt}}]}]}`, "in.json"},
	} {
		profile := plan(profiles.Target{Protocol: "kserve-v2-grpc", Body: "in.json"}, short)
		profile.Files = fstest.MapFS{"in.json": {Data: []byte(c.body)}}
		if _, err := newProtocol(profile, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.body, err, c.want)
		}
	}
}
