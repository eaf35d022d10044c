package fit

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// containersOf returns a pod's containers with their requests (millicores, thousandths of
// bytes), and what the replica requests from a node. It takes them from what the controller
// saw, from the workload's description, or from what was stated, which is noted as assumed.
//
// It returns an error for each utilization metric whose request is not known.
func containersOf(run *results.Run, metrics []hpa.Metric, o Options) ([]hpa.Container, cost.Replica, notes, error) {
	var n notes
	out := recordedContainers(run.Syncs)
	m := run.Meta.Workload
	if (o.CPUMilli > 0 || o.MemoryBytes > 0) && (len(out) > 0 || m.CPUMilli > 0 || m.MemoryBytes > 0) {
		n.warn("--requests for CPU and memory are ignored: the run recorded the pods' own")
	}
	if len(out) == 0 {
		if m.CPUMilli == 0 && m.MemoryBytes == 0 {
			m.CPUMilli, m.MemoryBytes = o.CPUMilli, o.MemoryBytes
			if m.CPUMilli > 0 || m.MemoryBytes > 0 {
				n.assume("a pod requests %d millicores and %d MiB of memory (stated)", m.CPUMilli, m.MemoryBytes>>20)
			}
		}
		out = []hpa.Container{{Name: "app", CPU: m.CPUMilli, HasCPU: m.CPUMilli > 0, Memory: m.MemoryBytes * 1000,
			HasMemory: m.MemoryBytes > 0}}
	}
	var cpu, memory int64
	for _, c := range out {
		if c.Init && !c.Sidecar {
			continue
		}
		cpu, memory = cpu+c.CPU, memory+c.Memory/1000
	}
	replica := cost.Replica{CPUCores: float64(cpu) / 1000, MemoryGB: float64(memory) / (1 << 30), GPUs: float64(m.GPUs),
		Extended: o.Extended}
	if m.GPUs == 0 && o.GPUs > 0 {
		replica.GPUs = o.GPUs
		n.assume("a pod requests %g GPU (stated)", o.GPUs)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Extended)) {
		n.assume("a pod requests %g of %s (stated)", o.Extended[name], name)
	}
	var errs []error
	for _, x := range metrics {
		if x.Source != hpa.Resource && x.Source != hpa.ContainerResource || x.Target.Utilization == 0 {
			continue
		}
		if x.Name == "cpu" && cpu == 0 || x.Name == "memory" && memory == 0 {
			errs = append(errs, fmt.Errorf("fit: the HPA scales on %s utilization, but the pods' %s request is unknown; "+
				"pass it: --requests cpu=1,memory=2Gi", x.Name, x.Name))
		}
	}
	return out, replica, n, errors.Join(errs...)
}

// recordedContainers returns those of the first pod that the controller saw; nil = none.
func recordedContainers(syncs []results.Sync) []hpa.Container {
	for i := range syncs {
		if len(syncs[i].Pods) == 0 || len(syncs[i].Pods[0].Containers) == 0 {
			continue
		}
		var out []hpa.Container
		for _, c := range syncs[i].Pods[0].Containers {
			out = append(out, hpa.Container{
				Name: c.Name, Init: c.Init, Sidecar: c.Sidecar,
				CPU: max(0, c.CPUMilli), HasCPU: c.CPUMilli >= 0,
				Memory: max(0, c.MemoryBytes) * 1000, HasMemory: c.MemoryBytes >= 0,
			})
		}
		return out
	}
	return nil
}
