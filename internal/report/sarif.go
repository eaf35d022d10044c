package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// Found is one finding as CI systems read it. Level is error, warning or note.
// File is "" for a live object; Line counts from 1, 0 = not known.
type Found struct {
	ID, Level, File, Object, Text, Help, Link string
	Line                                      int
}

// SARIF writes findings as SARIF 2.1.0, which code-scanning pages show beside
// the line.
func SARIF(w io.Writer, version string, found []Found) error {
	rules, seen, out := []any{}, map[string]bool{}, []any{}
	for _, f := range found {
		if !seen[f.ID] {
			seen[f.ID] = true
			rules = append(rules, map[string]any{"id": f.ID, "helpUri": f.Link, "help": map[string]any{"text": f.Help}})
		}
		place := map[string]any{"logicalLocations": []any{map[string]any{"fullyQualifiedName": f.Object}}}
		if f.File != "" {
			place["physicalLocation"] = map[string]any{
				"artifactLocation": map[string]any{"uri": f.File}, "region": map[string]any{"startLine": max(f.Line, 1)}}
		}
		out = append(out, map[string]any{"ruleId": f.ID, "level": f.Level,
			"message": map[string]any{"text": f.Text + ". " + f.Help}, "locations": []any{place}})
	}
	b, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "hpatune", "version": version, "rules": rules}},
			"results": out}}}, "", "  ")
	if err != nil {
		return fmt.Errorf("report: sarif: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
