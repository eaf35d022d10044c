package advice

import (
	"fmt"
	"path/filepath"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// owned is a recommendation in the format of whoever writes the HPA: an hpa.yaml that is
// applied directly would be reverted.
type owned struct {
	owner manifest.Owner
	of    string         // what is owned: HPA, ScaledObject
	yaml  string         // the file that holds the settings
	file  string         // of the patch, in the advice folder; "" = the owner has no patch of its own
	patch manifest.Patch // with a file
	kind  string         // of what is patched, as kubectl takes it
}

// ownedBy returns how to change an HPA whose owner would overwrite it; nil if the HPA
// itself can be applied.
func ownedBy(owner manifest.Owner, c *hpa.Config, namespace string, notes []manifest.Note) *owned {
	if owner.Where() == "" {
		return nil
	}
	o := &owned{owner: owner, of: "HPA", yaml: hpaYAML}
	switch owner.Kind {
	case manifest.OwnerKEDA:
		o.file, o.kind = "scaledobject-patch.yaml", "scaledobject"
		o.patch = manifest.KEDA(c, namespace, owner.Name, notes)
	case "KServe":
		o.file, o.kind = "inferenceservice-patch.yaml", "inferenceservice"
		o.patch = manifest.KServe(c, namespace, owner.Name, notes)
	}
	return o
}

// ownedScaled is ownedBy for the ScaledObject that makes the HPA.
func ownedScaled(owner manifest.Owner) *owned {
	if owner.Where() == "" {
		return nil
	}
	return &owned{owner: owner, of: "ScaledObject", yaml: scaledYAML}
}

// next is what to do with the recommendation instead of applying its hpa.yaml.
func (o *owned) next(dir, in string) []string {
	if o.file == "" {
		return []string{fmt.Sprintf("# This %s is managed by %s: %s, with the values of %s", o.of, o.owner.Kind,
			o.owner.Where(), filepath.Join(dir, o.yaml))}
	}
	out := []string{fmt.Sprintf("kubectl patch %s%s %s --type merge --patch-file %s", o.kind, in, o.owner.Name,
		filepath.Join(dir, o.file))}
	for _, r := range o.patch.Rest {
		out = append(out, "# then change by hand: "+r)
	}
	return out
}

// warning is the head of an hpa.yaml that must not be applied.
func (o *owned) warning() string {
	text := fmt.Sprintf("Do not apply this file: %s manages the %s and would revert it. Instead: %s", o.owner.Kind, o.of,
		o.owner.Where())
	if o.file != "" {
		text += ". The same settings in its own format: " + o.file
	}
	return text + "."
}
