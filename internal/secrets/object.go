package secrets

import (
	"slices"
	"strings"
)

// rule is how a field of a Kubernetes object is handled.
type rule int8

const (
	drop    rule = iota
	value        // a number, a flag or a word: kept, texts through Text
	walk         // a map or list of fields, each judged by its own name
	whole        // a map with arbitrary keys: labels, quantities, selectors
	notes        // annotations: of known prefixes only
	command      // arguments: known flags only
)

// fields are the fields of a workload that are kept, by name wherever they are, so that
// they apply to a Deployment, a Rollout, an InferenceService and any other kind with a pod
// template. Everything else is dropped: environment, shell commands, headers and scripts of
// probes, volumes, service accounts.
var fields = map[string]rule{
	// the object
	"apiVersion":        value,
	"kind":              value,
	"metadata":          walk,
	"name":              value,
	"namespace":         value,
	"uid":               value,
	"generation":        value,
	"creationTimestamp": value,
	"deletionTimestamp": value,
	"resourceVersion":   value,
	"ownerReferences":   walk,
	"controller":        value,
	"labels":            whole,
	"annotations":       notes,
	"spec":              walk,
	"status":            walk,
	"items":             walk,
	// the workload
	"replicas":                value,
	"selector":                walk,
	"matchLabels":             whole,
	"matchExpressions":        walk,
	"key":                     value,
	"operator":                value,
	"values":                  value,
	"minReadySeconds":         value,
	"progressDeadlineSeconds": value,
	"revisionHistoryLimit":    value,
	"paused":                  value,
	"strategy":                walk,
	"updateStrategy":          walk,
	"rollingUpdate":           walk,
	"maxSurge":                value,
	"maxUnavailable":          value,
	"partition":               value,
	"type":                    value,
	"podManagementPolicy":     value,
	"workloadRef":             walk,
	"template":                walk,
	"predictor":               walk,
	"model":                   walk,
	"modelFormat":             walk,
	"version":                 value,
	"runtime":                 value,
	"protocolVersion":         value,
	"minReplicas":             value,
	"maxReplicas":             value,
	"scaleTarget":             value,
	"scaleMetric":             value,
	"scaleMetricType":         value,
	"containerConcurrency":    value,
	"timeout":                 value,
	"leaderWorkerTemplate":    walk,
	"leaderTemplate":          walk,
	"workerTemplate":          walk,
	"size":                    value,
	"restartPolicy":           value,
	"engine":                  walk,
	// the pod
	"containers":                    walk,
	"initContainers":                walk,
	"image":                         value,
	"imagePullPolicy":               value,
	"resources":                     walk,
	"requests":                      whole,
	"limits":                        whole,
	"overhead":                      whole,
	"claims":                        walk,
	"ports":                         walk,
	"containerPort":                 value,
	"protocol":                      value,
	"hostPort":                      value,
	"args":                          command,
	"readinessProbe":                walk,
	"livenessProbe":                 walk,
	"startupProbe":                  walk,
	"initialDelaySeconds":           value,
	"periodSeconds":                 value,
	"timeoutSeconds":                value,
	"successThreshold":              value,
	"failureThreshold":              value,
	"terminationGracePeriodSeconds": value,
	"httpGet":                       walk,
	"tcpSocket":                     walk,
	"grpc":                          walk,
	"path":                          value,
	"port":                          value,
	"scheme":                        value,
	"resizePolicy":                  walk,
	"resourceName":                  value,
	"nodeSelector":                  whole,
	"tolerations":                   walk,
	"effect":                        value,
	"tolerationSeconds":             value,
	"affinity":                      walk,
	"nodeAffinity":                  walk,
	"podAffinity":                   walk,
	"podAntiAffinity":               walk,
	"requiredDuringSchedulingIgnoredDuringExecution":  walk,
	"preferredDuringSchedulingIgnoredDuringExecution": walk,
	"nodeSelectorTerms":         walk,
	"preference":                walk,
	"podAffinityTerm":           walk,
	"labelSelector":             walk,
	"topologyKey":               value,
	"weight":                    value,
	"topologySpreadConstraints": walk,
	"maxSkew":                   value,
	"whenUnsatisfiable":         value,
	"priorityClassName":         value,
	"priority":                  value,
	"runtimeClassName":          value,
	"schedulerName":             value,
	"dnsPolicy":                 value,
	"hostNetwork":               value,
	"preemptionPolicy":          value,
	// its state
	"readyReplicas":       value,
	"availableReplicas":   value,
	"updatedReplicas":     value,
	"unavailableReplicas": value,
	"currentReplicas":     value,
	"desiredReplicas":     value,
	"observedGeneration":  value,
	"conditions":          walk,
	"reason":              value,
	"message":             value,
	"lastTransitionTime":  value,
	"lastUpdateTime":      value,
	"lastScaleTime":       value,
	"collisionCount":      value,
}

// noted are the prefixes of annotations about how a workload is scaled or scraped. Any
// other annotation may contain anything.
var noted = []string{
	"autoscaling.knative.dev/",
	"autoscaling.alpha.kubernetes.io/",
	"autoscaling.keda.sh/",
	"serving.kserve.io/",
	"scaledobject.keda.sh/",
	"prometheus.io/",
	"sidecar.istio.io/",
	"deployment.kubernetes.io/",
	"hpatune.dev/",
}

// flags are arguments of model servers about capacity and features, which give nobody
// access.
var flags = map[string]bool{
	"addr":                     true,
	"address":                  true,
	"attention-backend":        true,
	"batch-size":               true,
	"block-size":               true,
	"chunked-prefill-size":     true,
	"concurrency":              true,
	"cpu-offload-gb":           true,
	"data-parallel-size":       true,
	"device":                   true,
	"disable-log-requests":     true,
	"dp-size":                  true,
	"dtype":                    true,
	"enable-chunked-prefill":   true,
	"enable-prefix-caching":    true,
	"enforce-eager":            true,
	"gpu-memory-utilization":   true,
	"grpc-port":                true,
	"host":                     true,
	"http-port":                true,
	"kv-cache-dtype":           true,
	"languages":                true,
	"load-cpu":                 true,
	"load-delay":               true,
	"max-batch-prefill-tokens": true,
	"max-batch-size":           true,
	"max-batch-total-tokens":   true,
	"max-concurrent-requests":  true,
	"max-input-length":         true,
	"max-input-tokens":         true,
	"max-model-len":            true,
	"max-num-batched-tokens":   true,
	"max-num-seqs":             true,
	"max-running-requests":     true,
	"max-seq-len":              true,
	"max-total-tokens":         true,
	"mem-fraction-static":      true,
	"metrics-port":             true,
	"model":                    true,
	"model-name":               true,
	"model_id":                 true,
	"model-id":                 true,
	"model_name":               true,
	"model-path":               true,
	"model-control-mode":       true,
	"model-repository":         true,
	"num-gpus":                 true,
	"num-shard":                true,
	"num-workers":              true,
	"pipeline-parallel-size":   true,
	"port":                     true,
	"quantization":             true,
	"queue":                    true,
	"revision":                 true,
	"scheduling-policy":        true,
	"served-model-name":        true,
	"sharded":                  true,
	"slots":                    true,
	"speculative-model":        true,
	"swap-space":               true,
	"tensor-parallel-size":     true,
	"threads":                  true,
	"tokenizer":                true,
	"tp":                       true,
	"tp-size":                  true,
	"trust-remote-code":        true,
	"workers":                  true,
}

// Object returns the part of a workload that may be stored: the fields of an allow-list.
// The argument is not changed.
func Object(object map[string]any) map[string]any {
	out, _ := kept(object, walk).(map[string]any)
	return out
}

// Texts returns a copy of an object in which every text has gone through Text.
func Texts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[key] = Texts(child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = Texts(child)
		}
		return out
	case string:
		return Text(v)
	}
	return v
}

// kept returns what rule r keeps of v; nil is nothing.
func kept(v any, r rule) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, child := range v {
			switch r {
			case walk:
				if c := kept(child, fields[key]); c != nil {
					out[key] = c
				}
			case whole:
				out[key] = kept(child, value)
			case notes:
				if slices.ContainsFunc(noted, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
					out[key] = kept(child, value)
				}
			case drop, value, command:
				return nil
			}
		}
		if len(out) == 0 && len(v) > 0 {
			return nil
		}
		return out
	case []any:
		if r == drop || r == whole || r == notes {
			return nil
		}
		if r == command {
			return arguments(v)
		}
		out := []any{}
		for _, child := range v {
			if c := kept(child, r); c != nil {
				out = append(out, c)
			}
		}
		return out
	case string:
		if r == value {
			return Text(v)
		}
		return nil
	default:
		if r == value {
			return v
		}
		return nil
	}
}

// arguments returns the known flags of an argument list with their values, which
// may stand in the same word (--port=80) or in the next (--port 80).
func arguments(list []any) any {
	out := []any{}
	for i, a := range list {
		word, _ := a.(string)
		name, _, joined := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !strings.HasPrefix(word, "-") || !flags[name] {
			continue
		}
		out = append(out, Text(word))
		if i+1 < len(list) && !joined {
			if next, _ := list[i+1].(string); next != "" && !strings.HasPrefix(next, "-") {
				out = append(out, Text(next))
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
