package fleet

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	port      = 8099
	jobLabel  = "hpatune.dev/fleet"
	tokenFile = "token"
	// HeadersFile is where a worker finds the headers that are secrets.
	HeadersFile = "headers"
	secretsDir  = "/secrets"
	workDir     = "/work"
	// keepFor is how long a finished Job stays if its coordinator could not delete it: long
	// enough to read its logs.
	keepFor = 10 * time.Minute
)

// JobOptions are what a fleet's Job is made of.
type JobOptions struct {
	Name, Namespace string
	Workers         int           // > 0
	Image           string        // the product's own
	PullSecret      string        // for a private registry; "" = none
	CPU, Memory     string        // of each worker, requests = limits
	Lasts           time.Duration // of the profile
	// Avoid selects the target's pods: workers avoid their nodes if there are others. nil =
	// none.
	Avoid *metav1.LabelSelector
}

// Job returns the Indexed Job of a fleet. Its pods fit the restricted Pod Security Standard
// and cannot read the API. A lost pod is not replaced, since its share of the schedule
// would start again during the run.
func Job(o JobOptions) (*batchv1.Job, error) {
	limits := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: o.CPU, corev1.ResourceMemory: o.Memory} {
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, fmt.Errorf("worker %s %q: %w; try 1 or 500m, 512Mi", name, text, err)
		}
		limits[name] = q
	}
	if o.Workers < 1 {
		return nil, fmt.Errorf("workers %d: at least 1", o.Workers)
	}
	labels := map[string]string{
		jobLabel: o.Name, "app.kubernetes.io/name": "hpatune", "app.kubernetes.io/component": "load-generator",
		// Istio reads the label, older ones the annotation.
		"sidecar.istio.io/inject": "false",
	}
	affinity := &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
		{
			Weight: 10,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{jobLabel: o.Name}},
			},
		},
	}}
	if o.Avoid != nil {
		affinity.PreferredDuringSchedulingIgnoredDuringExecution = append(
			affinity.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.WeightedPodAffinityTerm{
				Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: o.Avoid},
			},
		)
	}
	pod := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		Affinity:                     &corev1.Affinity{PodAntiAffinity: affinity},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)), FSGroup: new(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{
			{
				Name:            "hpatune",
				Image:           o.Image,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{
					"worker",
					"--listen",
					fmt.Sprintf(":%d", port),
					"--secrets",
					secretsDir,
					"--dir",
					workDir,
				},
				// A client library that writes a temporary file finds a place for it.
				Env:   []corev1.EnvVar{{Name: "TMPDIR", Value: workDir}, {Name: "HOME", Value: workDir}},
				Ports: []corev1.ContainerPort{{Name: "fleet", ContainerPort: port}},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
					HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(port)},
				}},
				Resources: corev1.ResourceRequirements{Requests: limits, Limits: limits},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "work", MountPath: workDir},
					{Name: "secrets", MountPath: secretsDir, ReadOnly: true},
				},
			},
		},
		Volumes: []corev1.Volume{
			{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{
				Name: "secrets",
				VolumeSource: corev1.VolumeSource{
					Secret: &corev1.SecretVolumeSource{SecretName: o.Name, DefaultMode: new(int32(0o440))},
				},
			},
		},
	}
	if o.PullSecret != "" {
		pod.ImagePullSecrets = []corev1.LocalObjectReference{{Name: o.PullSecret}}
	}
	n := int32(o.Workers)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: labels},
		Spec: batchv1.JobSpec{
			CompletionMode: new(batchv1.IndexedCompletion), Completions: &n, Parallelism: &n,
			// One lost worker neither comes back nor takes the others with it.
			BackoffLimitPerIndex: new(int32(0)), MaxFailedIndexes: &n, PodReplacementPolicy: new(batchv1.Failed),
			ActiveDeadlineSeconds:   new(int64((o.Lasts + 2*idle).Seconds())),
			TTLSecondsAfterFinished: new(int32(keepFor.Seconds())),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{
					"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled",
					// A move in mid-run is a lost worker.
					"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true",
				}},
				Spec: pod,
			},
		},
	}, nil
}
