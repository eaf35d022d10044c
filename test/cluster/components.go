//go:build linux

package cluster

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed config
var configFiles embed.FS

// vars are the values of the ${…} in the files of config/.
func (s state) vars() map[string]string {
	return map[string]string{
		"RUN": s.Run, "BIN": s.Bin, "PKI": s.pki(), "NAME": s.Name, "RUNC": s.RUNC, "SNAPSHOTTER": snapshotter(s.Run),
		"NODE_IP": NodeIP, "POD_CIDR": podCIDR, "CLUSTER_CIDR": clusterCIDR,
	}
}

// snapshotter picks containerd's snapshotter. An overlay cannot be on top of an
// overlay, and a container's own root is one.
func snapshotter(dir string) string {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

func (s state) config(name string) ([]byte, error) {
	b, err := configFiles.ReadFile("config/" + name)
	if err != nil {
		return nil, err
	}
	vars := s.vars()
	var missing []string
	text := os.Expand(string(b), func(v string) string {
		if _, ok := vars[v]; !ok {
			missing = append(missing, v)
		}
		return vars[v]
	})
	if missing != nil {
		return nil, fmt.Errorf("config/%s: unknown ${%s}", name, strings.Join(missing, "}, ${"))
	}
	return []byte(text), nil
}

// writeConfigs writes the configuration files of the daemons.
func (s state) writeConfigs() error {
	for name, dir := range map[string]string{
		"containerd.toml": "", "kubelet.yaml": "", "kube-proxy.yaml": "", "10-bridge.conflist": "cni/conf",
	} {
		b, err := s.config(name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(s.path("resolv.conf"), nil, 0o644)
}

// command returns a component's program and arguments.
func (s state) command(component string) []string {
	kubeconfig := func(name string) string { return s.pki(name + ".kubeconfig") }
	// For a component that authenticates its own callers through the API server.
	delegated := func(name string) []string {
		k := kubeconfig(name)
		return []string{"--kubeconfig=" + k, "--authentication-kubeconfig=" + k, "--authorization-kubeconfig=" + k}
	}
	var args []string
	switch component {
	case "etcd":
		args = []string{"--name=e", "--data-dir=" + s.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=e=http://127.0.0.1:2380"}
	case "containerd":
		args = []string{"--config", s.path("containerd.toml")}
	case "kube-apiserver":
		args = []string{
			"--etcd-servers=http://127.0.0.1:2379",
			"--secure-port=6443",
			"--advertise-address=" + NodeIP,
			"--service-cluster-ip-range=" + ServiceCIDR,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--client-ca-file=" + s.pki(
				"ca.crt",
			),
			"--tls-cert-file=" + s.pki("apiserver.crt"),
			"--tls-private-key-file=" + s.pki("apiserver.key"),
			"--kubelet-client-certificate=" + s.pki(
				"apiserver-kubelet.crt",
			),
			"--kubelet-client-key=" + s.pki("apiserver-kubelet.key"),
			"--kubelet-certificate-authority=" + s.pki("ca.crt"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + s.pki("sa.pub"),
			"--service-account-signing-key-file=" + s.pki("sa.key"),
			"--requestheader-client-ca-file=" + s.pki("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + s.pki(
				"front-proxy-client.crt",
			),
			"--proxy-client-key-file=" + s.pki("front-proxy-client.key"),
			"--enable-aggregator-routing=true", // straight to metrics-server's endpoint
			"--profiling=false",
		}
	case "kube-controller-manager":
		args = append(delegated(component),
			"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials=true",
			"--root-ca-file="+s.pki("ca.crt"), "--service-account-private-key-file="+s.pki("sa.key"),
			"--allocate-node-cidrs=true", "--cluster-cidr="+clusterCIDR, "--service-cluster-ip-range="+ServiceCIDR,
			"--horizontal-pod-autoscaler-sync-period="+s.Clocks.HPASync.String(),
			"--horizontal-pod-autoscaler-cpu-initialization-period="+s.Clocks.HPACPUInit.String(),
			"--horizontal-pod-autoscaler-initial-readiness-delay="+s.Clocks.HPAReadyDelay.String(),
			"--horizontal-pod-autoscaler-downscale-stabilization="+s.Clocks.HPADownStable.String())
	case "kube-scheduler":
		args = append(delegated(component), "--bind-address=127.0.0.1", "--leader-elect=false")
	case "kubelet":
		args = []string{
			"--config=" + s.path("kubelet.yaml"),
			"--kubeconfig=" + kubeconfig("kubelet"),
			"--hostname-override=" + NodeName,
			"--node-ip=" + NodeIP,
			"--root-dir=" + s.path("kubelet"),
			"--cert-dir=" + s.path("kubelet-pki"),
			"--housekeeping-interval=" + s.Clocks.Housekeeping.String(),
			"--v=2",
		}
	case "kube-proxy":
		args = []string{"--config=" + s.path("kube-proxy.yaml"), "--hostname-override=" + NodeName}
	case "metrics-server":
		args = append(
			delegated("metrics-server-client"),
			"--secure-port=4443",
			"--tls-cert-file="+s.pki("metrics-server.crt"),
			"--tls-private-key-file="+s.pki("metrics-server.key"),
			"--kubelet-certificate-authority="+s.pki("ca.crt"),
			"--kubelet-preferred-address-types=InternalIP",
			"--metric-resolution="+s.Clocks.MetricResolution.String(),
			"--kubelet-request-timeout=5s",
		) // must be shorter than the resolution
	}
	if program, ok := kedaPrograms[component]; ok {
		return append(s.kedaEnv(), append([]string{filepath.Join(s.KEDA, program)}, s.kedaArgs(component)...)...)
	}
	return append([]string{filepath.Join(s.Bin, component)}, args...)
}
