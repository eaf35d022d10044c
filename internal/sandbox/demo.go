package sandbox

import _ "embed"

// DemoProfile is the profile that shows a scale-up and a scale-down of the
// default service in 870 s of run time, as YAML in the profiles' format.
//
//go:embed demo.yaml
var DemoProfile []byte

// DemoScaledObject is a ScaledObject that scales the default service on what its pods
// tell, as YAML.
//
//go:embed scaledobject.yaml
var DemoScaledObject []byte
