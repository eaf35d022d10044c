// Package cluster builds, starts and stops a real Kubernetes cluster with one
// node on one Linux machine: etcd, kube-apiserver, kube-controller-manager with
// the real HPA controller, kube-scheduler, kubelet, kube-proxy, containerd and
// metrics-server, all from Go modules, with no registry and no Docker.
//
// The cluster has its own pid, mount and network namespaces. A test reaches it
// from outside with Cluster.Dial and Cluster.Start. When its first process ends,
// everything ends.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Clocks are the periods that determine how fast an HPA can act. The zero value
// is not useful: start with DefaultClocks or FastClocks.
type Clocks struct {
	HPASync          time.Duration // kube-controller-manager: --horizontal-pod-autoscaler-sync-period
	HPACPUInit       time.Duration // … --horizontal-pod-autoscaler-cpu-initialization-period
	HPAReadyDelay    time.Duration // … --horizontal-pod-autoscaler-initial-readiness-delay
	HPADownStable    time.Duration // … --horizontal-pod-autoscaler-downscale-stabilization
	MetricResolution time.Duration // metrics-server: --metric-resolution, at least 10 s
	Housekeeping     time.Duration // kubelet: --housekeeping-interval, how old cAdvisor's CPU figures may be
}

// DefaultClocks returns the defaults of Kubernetes, but 5 s instead of 10 s for housekeeping.
func DefaultClocks() Clocks {
	return Clocks{HPASync: 15 * time.Second, HPACPUInit: 5 * time.Minute, HPAReadyDelay: 30 * time.Second,
		HPADownStable: 5 * time.Minute, MetricResolution: 15 * time.Second, Housekeeping: 5 * time.Second}
}

// FastClocks returns clocks with which a scale-up takes half a minute, and a scale-down
// another half.
func FastClocks() Clocks {
	return Clocks{HPASync: 5 * time.Second, HPACPUInit: 20 * time.Second, HPAReadyDelay: 5 * time.Second,
		HPADownStable: 30 * time.Second, MetricResolution: 10 * time.Second, Housekeeping: 2 * time.Second}
}

// FromEnv returns c with the fields that HPA_SYNC, HPA_CPU_INIT,
// HPA_READY_DELAY, HPA_DOWN_STABLE, METRIC_RESOLUTION and HOUSEKEEPING set.
// The error names every value that is not a duration or out of range.
func (c Clocks) FromEnv(getenv func(string) string) (Clocks, error) {
	var errs []error
	for _, f := range []struct {
		env  string
		d    *time.Duration
		from time.Duration
	}{
		{"HPA_SYNC", &c.HPASync, time.Second},
		{"HPA_CPU_INIT", &c.HPACPUInit, 0},
		{"HPA_READY_DELAY", &c.HPAReadyDelay, 0},
		{"HPA_DOWN_STABLE", &c.HPADownStable, 0},
		{"METRIC_RESOLUTION", &c.MetricResolution, 10 * time.Second}, // metrics-server exits if it is less
		{"HOUSEKEEPING", &c.Housekeeping, time.Second},
	} {
		v := getenv(f.env)
		if v == "" {
			continue
		}
		d, err := time.ParseDuration(v)
		if err == nil && d < f.from {
			err = fmt.Errorf("less than %v", f.from)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w; try %v", f.env, v, err, *f.d))
			continue
		}
		*f.d = d
	}
	return c, errors.Join(errs...)
}

// Fixed addresses, inside the cluster's own network namespace. kube-apiserver and
// kubelet refuse a loopback address, so there is a bridge with NodeIP.
const (
	NodeName    = "node1"
	NodeIP      = "10.88.0.2"
	ServiceCIDR = "10.96.0.0/16" // a test may give a Service a fixed clusterIP from this range, above 10.96.0.1
	serviceIP   = "10.96.0.1"    // of the API server
	podCIDR     = "10.244.0.0/24"
	clusterCIDR = "10.244.0.0/16"
	apiURL      = "https://127.0.0.1:6443"
)

// Home returns the folder of all programs and clusters: $HPACLUSTER_DIR, or
// hpacluster in $XDG_CACHE_HOME or in ~/.cache.
func Home() (string, error) {
	if d := os.Getenv("HPACLUSTER_DIR"); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache folder: %w; try HPACLUSTER_DIR=/some/folder", err)
	}
	return filepath.Join(d, "hpacluster"), nil
}

// Name returns the cluster's name: $HPACLUSTER_NAME, or "hpacluster". Clusters
// with different names are independent. The cgroup has the same name.
func Name() (string, error) {
	n := os.Getenv("HPACLUSTER_NAME")
	if n == "" {
		return "hpacluster", nil
	}
	if strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(n) > 40 {
		return "", fmt.Errorf("HPACLUSTER_NAME %q: want up to 40 small letters, digits and dashes", n)
	}
	return n, nil
}
