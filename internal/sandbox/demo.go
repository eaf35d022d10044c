package sandbox

import _ "embed"

// DemoProfile is the profile that shows a scale-up and a scale-down of the
// default service in 870 s of run time, as YAML in the profiles' format.
//
//go:embed demo.yaml
var DemoProfile []byte

// DemoProfileKEDA is the profile for DemoScaledObject: the same service under a load that it
// meets in the same way in every run.
//
//go:embed demo-keda.yaml
var DemoProfileKEDA []byte

// DemoScaledObject is a ScaledObject that scales the default service on what its pods
// tell, as YAML.
//
//go:embed scaledobject.yaml
var DemoScaledObject []byte
