package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// logs puts each request log through `import requests` and `fit`, and judges the figures of all its
// requests: shares within five points, E2E p95 within 10 %, TTFT within 15 %.
func logs(dir, program string) ([]bar, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.requests.csv"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no *.requests.csv there", dir)
	}
	temp, err := os.MkdirTemp("", "evaluate-public")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	if program == "" {
		program = filepath.Join(temp, "hpatune")
		if out, err := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-o", program,
			"./cmd/hpatune").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the product: %w\n%s", err, out)
		}
	}
	var bars []bar
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".requests.csv")
		run := filepath.Join(temp, name)
		if out, err := exec.Command(program, "import", "requests", f, "--out", run).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("import requests %s: %w\n%s", f, err, out)
		}
		b, err := exec.Command(program, "fit", run, "-o", "json").Output()
		if err != nil {
			return nil, fmt.Errorf("fit %s: %w", f, err)
		}
		var fit struct {
			Holdout struct {
				All []struct {
					Name              string
					Predicted, Actual *float64
				} `json:"figures_all"`
			}
		}
		if err := json.Unmarshal(b, &fit); err != nil {
			return nil, fmt.Errorf("fit %s: %w", f, err)
		}
		for _, x := range fit.Holdout.All {
			if x.Predicted == nil || x.Actual == nil {
				continue
			}
			p, a := *x.Predicted, *x.Actual
			line := bar{of: name, figure: x.Name, predicted: fmt.Sprintf("%.2f s", p), actual: fmt.Sprintf("%.2f s", a)}
			within := func(limit float64) {
				line.want, line.ok = fmt.Sprintf("within %.0f %%", 100*limit), is(math.Abs(p/a-1) <= limit)
			}
			switch {
			case strings.Contains(x.Name, "<"):
				line.predicted, line.actual = fmt.Sprintf("%.1f %%", 100*p), fmt.Sprintf("%.1f %%", 100*a)
				line.want, line.ok = "within 5 points", is(math.Abs(p-a) <= 0.05)
			case x.Name == "e2e.p95":
				within(0.10)
			case x.Name == "ttft.p50", x.Name == "ttft.p95":
				within(0.15)
			}
			bars = append(bars, line)
		}
	}
	return bars, nil
}
