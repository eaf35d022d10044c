package reference

import (
	"fmt"
	"reflect"
	"unsafe"

	"k8s.io/kubernetes/pkg/controller/podautoscaler"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// remember puts the scenario's recommendations and scale events into a controller that has
// not run yet. They are in unexported maps without a setter, so this uses reflection and
// unsafe. The types are checked by name: it panics if another release names them differently.
func (w *world) remember(c *podautoscaler.HorizontalController) {
	st := w.s.InitialState
	if st == nil {
		return
	}
	key := w.hpa.Namespace + "/" + w.hpa.Name
	fill(c, "recommendations", key, len(st.Recommendations), func(i int, entry reflect.Value) {
		put(entry, "recommendation", st.Recommendations[i].Replicas)
		put(entry, "timestamp", w.time(st.Recommendations[i].At).Time)
	})
	for name, list := range map[string][]gen.Change{"scaleUpEvents": st.ScaleUpEvents, "scaleDownEvents": st.ScaleDownEvents} {
		fill(c, name, key, len(list), func(i int, entry reflect.Value) {
			put(entry, "replicaChange", list[i].Change)
			put(entry, "timestamp", w.time(list[i].At).Time)
		})
	}
}

// fill puts a list of n entries under the key into one of the controller's maps.
func fill(c *podautoscaler.HorizontalController, field, key string, n int, each func(i int, entry reflect.Value)) {
	if n == 0 {
		return
	}
	m := open(reflect.ValueOf(c).Elem().FieldByName(field), field)
	list := reflect.MakeSlice(m.Type().Elem(), n, n)
	for i := range n {
		each(i, list.Index(i))
	}
	m.SetMapIndex(reflect.ValueOf(key), list)
}

func put[T any](entry reflect.Value, field string, v T) {
	open(entry.FieldByName(field), field).Set(reflect.ValueOf(v))
}

// open makes an unexported field settable.
func open(f reflect.Value, name string) reflect.Value {
	if !f.IsValid() {
		panic(fmt.Sprintf("the controller has no field %s", name))
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}
